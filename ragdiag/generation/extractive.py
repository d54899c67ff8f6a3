"""Verbatim sentences as the answer: no language model, the same answer every time.

The score of sentence s for question q is a convex combination of two numbers in [0, 1]:

    score(q, s) = (1 − w)·max(0, cos(q, s)) + w·coverage(q, s)
    coverage(q, s) = Σ_{t ∈ q ∩ s} idf(t) / Σ_{t ∈ q} idf(t)
    idf(t) = ln(1 + (N − n_t + ½) / (n_t + ½))

with w = ``lexical_weight``, cos the encoder's cosine, q ∩ s the distinct terms in both (English
stop words removed), N the sentences of the context and n_t those that have t. The idf is BM25's
(Robertson & Zaragoza 2009, §3.4, with the 1 that keeps it positive); coverage is BM25 with k1 → 0,
where only the presence of a term counts, over its maximum for the question, so that it is bounded
and comparable with a cosine. A question without content terms has coverage 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ragdiag.generation.sentence_vectors import Encoder, SentenceVectors, shared_vectors
from ragdiag.progress import Progress, report
from ragdiag.records import Answer, ContextPassage
from ragdiag.retrieval.embed import load_embedder
from ragdiag.retrieval.lexical import tokenise
from ragdiag.retrieval.text import split_sentences
from ragdiag.version import ExtractiveSpec

SCORE_DIGITS = 5
"""Scores are rounded, so that float noise between an encoder's batches (1e-7) decides nothing."""

WARMED = 512
"""Sentences between two progress reports."""


class Candidate(NamedTuple):
    """A sentence of the context and the passage it stands in."""

    passage_id: str
    text: str


class ExtractiveGenerator:
    """Answers with the best sentences of the context, in reading order, citing their passages."""

    name = "extractive"

    def __init__(
        self, spec: ExtractiveSpec, encoder: Encoder, vectors: SentenceVectors | None = None
    ) -> None:
        """``vectors`` is a cache of ``encoder`` to share; without one the generator has its own."""
        self._spec = spec
        self._vectors = SentenceVectors(encoder) if vectors is None else vectors

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        """At most ``sentences`` sentences, each scoring ``threshold`` or more, joined by a space.

        Ties go to the sentence read first. A sentence that stands in several passages counts
        once, for the first. Where no sentence reaches the threshold, or the context has none,
        the status is ``no_answer`` and the text empty.
        """
        candidates = split_context(context)
        if not candidates:
            return self._abstain()
        scores = self._score(question, [candidate.text for candidate in candidates])
        ranked = np.argsort(-scores, kind="stable")[: self._spec.sentences]
        chosen = [candidates[i] for i in sorted(ranked) if scores[i] >= self._spec.threshold]
        if not chosen:
            return self._abstain()
        return Answer(
            text=" ".join(candidate.text for candidate in chosen),
            citations=tuple(dict.fromkeys(candidate.passage_id for candidate in chosen)),
            model=self.name,
        )

    def warm(self, texts: Sequence[str], progress: Progress | None = None) -> None:
        """Encode the sentences of ``texts`` ahead, so that no question waits for it.

        Sentences beyond the cache's capacity push out those that came first.
        """
        sentences = list(dict.fromkeys(s for text in texts for s in split_sentences(text)))
        sentences.sort(key=len)  # a batch of one length is not padded
        for start in range(0, len(sentences), WARMED):
            self._vectors.of(sentences[start : start + WARMED])
            done = min(start + WARMED, len(sentences))
            report(progress, done / len(sentences), f"read {done} of {len(sentences)} sentences")

    def _score(self, question: str, sentences: Sequence[str]) -> npt.NDArray[np.float64]:
        """``score`` of the module's formula for each sentence, shape (n,)."""
        vectors = self._vectors.of([question, *sentences])
        cosine: npt.NDArray[np.float64] = np.maximum(vectors[1:] @ vectors[0], 0.0).astype(float)
        coverage = term_coverage(question, sentences)
        weight = self._spec.lexical_weight
        return np.round((1 - weight) * cosine + weight * coverage, SCORE_DIGITS)

    def _abstain(self) -> Answer:
        return Answer(text="", status="no_answer", model=self.name)


def load_extractive(spec: ExtractiveSpec) -> ExtractiveGenerator:
    """Raises ModelError where the encoder is missing or changed."""
    embedder = load_embedder(spec.encoder)
    return ExtractiveGenerator(spec, embedder, shared_vectors(embedder))


def split_context(context: Sequence[ContextPassage]) -> list[Candidate]:
    """The distinct sentences of ``context`` in reading order.

    >>> split_context([ContextPassage("p1", "One. Two."), ContextPassage("p2", "Two.")])
    [Candidate(passage_id='p1', text='One.'), Candidate(passage_id='p1', text='Two.')]
    """
    first_seen: dict[str, str] = {}
    for passage in context:
        for sentence in split_sentences(passage.text):
            if sentence.strip():
                first_seen.setdefault(sentence.strip(), passage.passage_id)
    return [Candidate(passage_id, text) for text, passage_id in first_seen.items()]


def term_coverage(question: str, sentences: Sequence[str]) -> npt.NDArray[np.float64]:
    """Share of the question's idf that each sentence covers, in [0, 1], shape (n,).

    >>> term_coverage("red fox", ["A red fox.", "A red hen.", "Nothing."]).round(2).tolist()
    [1.0, 0.32, 0.0]
    """
    wanted = set(tokenise(question, "en"))
    held = [wanted & set(tokenise(sentence, "en")) for sentence in sentences]
    spread = Counter(term for terms in held for term in terms)
    idf = {
        term: math.log1p((len(sentences) - spread[term] + 0.5) / (spread[term] + 0.5))
        # sorted, because the order in which floats are added decides their last digit
        for term in sorted(wanted)
    }
    whole = sum(idf.values())
    covered = [sum(idf[term] for term in sorted(terms)) for terms in held]
    return np.array(covered) / whole if whole else np.zeros(len(sentences))
