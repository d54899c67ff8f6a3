"""Samples that are the same every time, and stay nearly the same as what they are of grows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ragdiag.question_clusters import load_clusters
from ragdiag.records import Question
from ragdiag.store.corpus import load_judgments, load_questions
from ragdiag.store.lake import Lake

SEED = "ragdiag"

Asked = tuple[Question, dict[str, int]]
"""A question with the grades of its judged passages."""


def steady_sample(ids: Iterable[str], size: int, seed: str = SEED) -> list[str]:
    """``size`` of ``ids``, those with the lowest hash: one that is added changes at most one.

    >>> few, more = steady_sample("abcdefgh", 3), steady_sample("abcdefghi", 3)
    >>> len(few), len(set(few) - set(more)) <= 1
    (3, True)
    """

    def rank(one: str) -> str:
        return hashlib.sha256(f"{seed}\0{one}".encode()).hexdigest()

    return sorted(set(ids), key=rank)[:size]


def sample_positions(n: int, size: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """At most ``size`` different positions below ``n``, ascending."""
    chosen = np.random.default_rng(seed).choice(n, min(n, size), replace=False)
    return np.sort(chosen).astype(np.int64)


def sample_judged(lake: Lake, size: int, held: Collection[str] | None = None) -> list[Asked]:
    """Questions that have a relevant passage, of those ``held`` where it is given; by question."""
    judged = load_judgments(lake)

    def is_askable(grades: dict[str, int]) -> bool:
        return any(
            grade > 0 and (held is None or passage in held) for passage, grade in grades.items()
        )

    questions = {one.question_id: one for one in load_questions(lake)}
    askable = [q for q, grades in judged.items() if q in questions and is_askable(grades)]
    return [(questions[q], judged[q]) for q in sorted(steady_sample(askable, size))]


def load_owners(lake: Lake, asked: Sequence[Asked]) -> dict[str, str]:
    """Question → what it shares with others: the document of its gold (load_clusters)."""
    texts = {question.question_id: question.text for question, _ in asked}
    return load_clusters(lake, texts, {question.question_id: grades for question, grades in asked})
