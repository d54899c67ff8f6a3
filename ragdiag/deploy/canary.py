"""Questions whose answers are known, put to the two indexes of a loaded build.

Its own passages find themselves, approximate search finds what exact search finds, and the model
still gives the vectors that are in the build.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ragdiag.deploy.sampling import sample_positions
from ragdiag.deploy.soundness import Measured, Target
from ragdiag.records import Finding, Passage
from ragdiag.retrieval.ann.index import Positions, Scores, VectorIndex, Vectors
from ragdiag.retrieval.ann.reduction import Reduction
from ragdiag.retrieval.builds import Index
from ragdiag.retrieval.embed import Encoder
from ragdiag.retrieval.lexical import Lexical, has_marks, terms, tokenise
from ragdiag.retrieval.paths import best_positions
from ragdiag.retrieval.vectors import passage_text
from ragdiag.stats.bootstrap import bounded_mean
from ragdiag.version import LexicalSpec

TOP = 10
SELF_SAMPLE = 200
NEIGHBOUR_SAMPLE = 50
SELF_FLOOR = 0.98
"""Share of sampled passages that must find themselves first; a graph may miss a few."""

LEXICAL_SELF_FLOOR = 0.90
"""As above, among the first ten: near-duplicates may score higher for a passage's own words."""

RECALL_FLOOR = 0.90
"""Recall@10 of approximate against exact search; tuning is asked for more."""

NAMED = 3
"""Passages without words that a finding names."""

COSINE_FLOOR = 0.99
"""Between a passage's vector in the build and a new one: what compression moves (one byte a
dimension: 0.9998) stays above it, another model or pooling far below."""

NORM_TOLERANCE = 0.05
_TIE = 1e-6
_BLOCK = 8_192


def look_for_vectors(ann: VectorIndex, target: Target) -> Measured:
    """Sampled passages' own vectors: of norm 1, and first in the list that they ask for."""
    depth = target.version.spec.candidates.depth
    positions = sample_positions(ann.size, SELF_SAMPLE)
    vectors = ann.vectors(positions)
    norms = np.linalg.norm(vectors, axis=1)
    found = 0
    for position, vector in zip(positions, vectors, strict=True):
        first, scores = ann.search(vector, depth)
        own = ann.scores(vector, position.reshape(1))[0]
        # another passage with the same vector may stand in front of it
        found += bool(first.size) and bool(first[0] == position or abs(scores[0] - own) <= _TIE)
    stray = int((np.abs(norms - 1) > NORM_TOLERANCE).sum())
    n = len(positions)
    what = f"{found} of {n} vectors sampled from {target} find themselves first"
    if stray:
        what += f", and {stray} have no norm of 1"
    sound = found >= SELF_FLOOR * n and not stray
    finding = Finding(what, "good" if sound else "bad", "" if sound else target.rebuild, "vectors")
    return finding, {"n": n, "found": found, "stray_norms": stray}


def look_for_words(
    lexical: Lexical,
    spec: LexicalSpec,
    positions: Positions,
    passages: Sequence[Passage],
    target: Target,
) -> Measured:
    """Sampled passages' own words find them among the first ten, ties counted in their favour. What
    has no word that counts, such as a table of single digits, is told and cannot be asked for."""
    n, found = 0, 0
    wordless: list[str] = []
    torn: list[str] = []
    for position, passage in zip(positions, passages, strict=True):
        text = passage_text(passage, title=spec.title)
        if not terms(text, spec):
            wordless.append(passage.passage_id)
            continue
        if _is_torn(lexical, spec, text):
            torn.append(passage.passage_id)
        scores = lexical.scores(text)
        best = best_positions(scores, TOP)
        n += 1
        found += bool(best.size) and bool(scores[position] >= scores[best[-1]])
    what = (
        f"{found} of {n} passages sampled from {target} are among the first {TOP} for their words"
    )
    measured = {"n": n, "found": found, "wordless": len(wordless)}
    if torn:
        what = (
            f"{target} keeps words apart from their accents or vowel signs, as an earlier ragdiag "
            f"did, in {len(torn)} of {n} passages sampled: {_named(torn)}"
        )
        return Finding(what, "bad", target.rebuild, "words"), measured
    if found < LEXICAL_SELF_FLOOR * n:
        forced = f"ragdiag index publish {target.version.name} --build {target.build_id} --force"
        remedy = f"{target.rebuild}; where that finds the same, let it serve all the same: {forced}"
        return Finding(what, "bad", remedy, "words"), measured
    if wordless:
        what += f"; {len(wordless)} more have no word to be found by: {_named(wordless)}"
        return Finding(what, "warn", "nothing, where they are figures or signs", "words"), measured
    return Finding(what, "good", name="words"), measured


def _is_torn(lexical: Lexical, spec: LexicalSpec, text: str) -> bool:
    """Whether none of the words of ``text`` that may have marks is in the index as a whole."""
    if not has_marks(text):
        return False
    marked = [word for word in tokenise(text, spec.stopwords) if not word.isascii()]
    return bool(marked) and lexical.upper_bound(" ".join(marked)) == 0


def _named(passages: Sequence[str]) -> str:
    return ", ".join(passages[:NAMED]) + (", …" if len(passages) > NAMED else "")


def look_at_neighbours(ann: VectorIndex, queries: Vectors, target: Target) -> Measured:
    """Recall@10 of the build's search, as it serves, against exact search, for ``queries`` (m, d).

    A passage that ties with the tenth counts as found.
    """
    depth, k = target.version.spec.candidates.depth, min(TOP, ann.size)
    recalls = []
    for query in queries:
        bar = np.partition(_all_scores(ann, query), -k)[-k] - _TIE
        _, scores = ann.search(query, depth)
        recalls.append(min(int((scores[:k] >= bar).sum()), k) / k)
    recall = bounded_mean(recalls, 0, 1)
    what = f"recall@{TOP} of approximate against exact search in {target} is {recall.value:.3f}"
    if recall.high < RECALL_FLOOR:
        what += f", below {RECALL_FLOOR}"
        remedy = f"raise ef_search in [ann], or use kind = 'flat'; else {target.rebuild}"
        return Finding(what, "bad", remedy, "neighbours"), recall.to_json()
    return Finding(what, "good", name="neighbours"), recall.to_json()


def look_at_embeddings(
    index: Index,
    encoder: Encoder,
    positions: Positions,
    passages: Sequence[Passage],
    target: Target,
) -> Measured:
    """Whether the model, as it is installed now, gives the vectors that are in the build."""
    assert index.ann is not None
    texts = [passage_text(passage, title=encoder.title) for passage in passages]
    fresh = as_kept(encoder.encode(texts), index.reduction)
    stored = index.ann.vectors(positions)
    lengths = np.linalg.norm(stored, axis=1) * np.linalg.norm(fresh, axis=1)
    cosines = np.einsum("ij,ij->i", stored, fresh) / lengths
    worst = int(np.argmin(cosines))
    measured = {
        "n": len(cosines),
        "cosine_min": float(cosines[worst]),
        "cosine_mean": float(cosines.mean()),
        "norm_min": float(np.linalg.norm(fresh, axis=1).min()),
        "norm_max": float(np.linalg.norm(fresh, axis=1).max()),
        "dimension": int(fresh.shape[1]),
    }
    what = (
        f"{len(cosines)} passages embedded again have cosines of {cosines[worst]:.4f} or more with "
        f"their vectors in {target}"
    )
    if not cosines[worst] >= COSINE_FLOOR:  # NaN compares false
        what += f"; the worst is {passages[worst].passage_id}"
        return Finding(what, "bad", target.rebuild, "embeddings"), measured
    return Finding(what, "good", name="embeddings"), measured


def as_kept(vectors: Vectors, reduction: Reduction | None) -> Vectors:
    """Vectors as the model gives them (n, source), in the dimensions that the index keeps."""
    return vectors if reduction is None else reduction.apply(vectors)


def _all_scores(ann: VectorIndex, query: Vectors) -> Scores:
    """Inner products with every vector, decoded by the block."""
    starts = range(0, ann.size, _BLOCK)
    blocks = [np.arange(start, min(start + _BLOCK, ann.size)) for start in starts]
    return np.concatenate([ann.scores(query, block) for block in blocks])
