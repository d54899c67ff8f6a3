"""What a prompt's passages have to do with the question, from the log and the labels alone.

Passages can be near a question without answering it (a high cosine, judged irrelevant), say the
same thing twice, or come from one path only. Nothing here needs a model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragdiag.metrics.ranking import judged_at_k, precision_at_k
from ragdiag.records import Request
from ragdiag.retrieval.lexical import tokenise
from ragdiag.version import Spec

SHINGLE = 3
SAID_TWICE = 0.8
"""Resemblance (Broder 1997) from which two passages count as one said twice."""

EXACT_KINDS = ("flat", "hnsw", "ivf_flat")
"""Index kinds that score whole vectors; the others' scores are approximate."""


@dataclass(frozen=True, slots=True)
class PassageFacts:
    """``grade`` is None where nobody judged the passage; ``cosine`` to the question None where it
    is not known; ``overlap`` the share of the question's words that the passage holds (NaN without
    words); ``repeats`` the earlier passage that it nearly equals; ``ranks`` its rank (from 1) in
    the list of each path that found it."""

    passage_id: str
    grade: int | None
    cosine: float | None
    overlap: float
    repeats: str | None
    ranks: Mapping[str, int]
    similar_but_irrelevant: bool


@dataclass(frozen=True, slots=True)
class ContextFacts:
    """A prompt's passages in order, and their precision@k, k all of them. Whom nobody judged counts
    as irrelevant, so ``precision`` is a lower bound where ``judged``, the share that was judged, is
    below 1. NaN without any judgment of the question."""

    passages: tuple[PassageFacts, ...]
    precision: float
    judged: float


def dense_scores_are_cosines(spec: Spec | None) -> bool:
    """Whether a version's dense scores are the cosines of its vectors: the unit vectors of its own
    encoder, whole, under an inner product. Of another service's scores nothing is known."""
    if spec is None or spec.embedder is None:
        return False
    return spec.ann.kind in EXACT_KINDS and spec.ann.reduce == "none"


def context_facts(
    request: Request,
    texts: Mapping[str, str],
    judged: Mapping[str, int],
    *,
    cosines: bool,
) -> ContextFacts:
    """The facts of each passage of the prompt.

    ``texts`` are the passages' texts as far as they are known, ``judged`` the question's judgments
    (0: irrelevant), ``cosines`` whether the logged dense scores are such. A passage is similar but
    irrelevant where it is judged 0 and its cosine is at least that of a relevant passage that the
    dense path found; no fixed number would suit every encoder.
    """
    order = list(dict.fromkeys(hit.passage_id for hit in request.context))
    dense = {hit.passage_id: hit.score for hit in request.dense or ()} if cosines else {}
    relevant = [score for name, score in dense.items() if judged.get(name, 0) > 0]
    repeats = _near_duplicates({name: texts[name] for name in order if name in texts})
    found = [
        PassageFacts(
            passage_id=name,
            grade=judged.get(name),
            cosine=dense.get(name),
            overlap=term_overlap(request.question, texts[name]) if name in texts else math.nan,
            repeats=repeats.get(name),
            ranks=_ranks(request, name),
            similar_but_irrelevant=judged.get(name) == 0
            and name in dense
            and bool(relevant)
            and dense[name] >= min(relevant),
        )
        for name in order
    ]
    grades = [judged.get(name) for name in order]
    known = bool(judged) and bool(order)
    return ContextFacts(
        passages=tuple(found),
        precision=precision_at_k([g or 0 for g in grades], len(order)) if known else math.nan,
        judged=judged_at_k(grades, len(order)),
    )


def term_overlap(question: str, text: str) -> float:
    """The share of the question's different words, without stop words, that ``text`` holds.

    >>> term_overlap("How hot is green tea?", "Green tea is brewed at eighty degrees.")
    0.5
    """
    asked = set(tokenise(question))
    return len(asked & set(tokenise(text))) / len(asked) if asked else math.nan


def resemblance(a: str, b: str) -> float:
    """The Jaccard index of the two texts' runs of SHINGLE words (of all words, in shorter texts);
    0 where one has no word.

    >>> resemblance("one two three four", "one two three four five")
    0.6666666666666666
    """
    first, second = _shingles(a), _shingles(b)
    return len(first & second) / len(first | second) if first and second else 0.0


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = tokenise(text, "none")
    if len(words) < SHINGLE:
        return {tuple(words)} if words else set()
    return set(zip(*(words[at:] for at in range(SHINGLE)), strict=False))


def _near_duplicates(texts: Mapping[str, str]) -> dict[str, str]:
    """Passage → the first earlier one that it nearly equals."""
    names: Sequence[str] = list(texts)
    return {
        name: twin
        for at, name in enumerate(names)
        if (twin := _first_twin(texts, name, names[:at])) is not None
    }


def _first_twin(texts: Mapping[str, str], name: str, earlier: Sequence[str]) -> str | None:
    twins = (one for one in earlier if resemblance(texts[one], texts[name]) >= SAID_TWICE)
    return next(twins, None)


def _ranks(request: Request, name: str) -> dict[str, int]:
    paths = (("lexical", request.lexical), ("dense", request.dense))
    found = {}
    for path, hits in paths:
        places = [n for n, hit in enumerate(hits or (), start=1) if hit.passage_id == name]
        if places:
            found[path] = places[0]
    return found
