"""Right where the answer means what a gold answer means, by the packaged encoder's cosine."""

from __future__ import annotations

from collections.abc import Sequence

from ragdiag.generation.sentence_vectors import SentenceVectors, shared_vectors
from ragdiag.grading.contract import Item, Subject, undecidable
from ragdiag.progress import Progress, report
from ragdiag.records import Grade
from ragdiag.retrieval.embed import load_embedder
from ragdiag.retrieval.text import split_sentences
from ragdiag.version import PACKAGED_MODEL

USUAL = 0.7
AHEAD = 64
"""Answers whose texts are encoded in one batch."""


class SemanticGrader:
    """The score is the best cosine between a gold answer and the answer or one of its sentences:
    a long answer that says the right thing once is right."""

    about: Subject = "correct"

    def __init__(self, vectors: SentenceVectors, threshold: float = USUAL) -> None:
        self.name = f"semantic-v1@{threshold:g}"
        self._vectors = vectors
        self._threshold = threshold

    def grade(self, items: Sequence[Item], progress: Progress | None = None) -> list[Grade]:
        grades: list[Grade] = []
        for start in range(0, len(items), AHEAD):
            part = items[start : start + AHEAD]
            grades += self._grade_together(part)
            report(progress, len(grades) / len(items), f"graded {len(grades)} of {len(items)}")
        return grades

    def _grade_together(self, items: Sequence[Item]) -> list[Grade]:
        told = [undecidable(item, self.name, "correct") for item in items]
        texts = [
            text
            for item, known in zip(items, told, strict=True)
            if known is None
            for text in (*said(item.answer), *item.golds)
        ]
        if texts:
            self._vectors.of(texts)
        return [known or self._judge(item) for item, known in zip(items, told, strict=True)]

    def _judge(self, item: Item) -> Grade:
        ours = self._vectors.of(said(item.answer))
        score = float((ours @ self._vectors.of(item.golds).T).max())
        right = score >= self._threshold
        reason = f"cosine {score:.2f} {'≥' if right else '<'} {self._threshold:g}"
        return Grade(item.item_id, self.name, int(right), score, reason=reason)


def said(answer: str) -> list[str]:
    """The answer whole, and each of its sentences."""
    return list(dict.fromkeys([answer, *split_sentences(answer)]))


def packaged_vectors() -> SentenceVectors:
    """The process's sentence vectors of the packaged model. Raises ModelError."""
    return shared_vectors(load_embedder(PACKAGED_MODEL))
