"""One query as trec_eval sees it: the grades of the ranked hits and the counts of the judgments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ragdiag.errors import InputError

NOT_POOLED = -1
"""Grade of a hit that the judgments do not mention."""
NOT_JUDGED = -2
"""Grade of a hit that the judgments mention with a negative grade: pooled, but not judged."""


@dataclass(frozen=True)
class JudgedRanking:
    """``grades`` by rank (NOT_POOLED, NOT_JUDGED, or 0 and above); ``levels[g]`` judged passages
    have grade g; a grade of at least ``relevance_level`` is relevant."""

    grades: tuple[int, ...]
    levels: tuple[int, ...]
    relevance_level: int = 1

    @cached_property
    def num_ret(self) -> int:
        return len(self.grades)

    @cached_property
    def num_rel(self) -> int:
        return sum(self.levels[self.relevance_level :])

    @cached_property
    def num_nonrel(self) -> int:
        return sum(self.levels[: self.relevance_level])

    @cached_property
    def found(self) -> tuple[int, ...]:
        """Relevant hits among the first 0, 1, 2, … hits; one longer than ``grades``."""
        counts = [0]
        for grade in self.grades:
            counts.append(counts[-1] + (grade >= self.relevance_level))
        return tuple(counts)

    @property
    def num_rel_ret(self) -> int:
        return self.found[-1]

    def found_at(self, k: int) -> int:
        """Relevant hits among the first k; hits that are missing are not relevant."""
        return self.found[min(k, self.num_ret)]

    @cached_property
    def ideal(self) -> tuple[int, ...]:
        """Every positive judged grade, best first: the gains of a perfect ranking."""
        grades = range(len(self.levels) - 1, 0, -1)
        return tuple(grade for grade in grades for _ in range(self.levels[grade]))


def judge_ranking(
    query_id: str, scores: Mapping[str, float], judged: Mapping[str, int], relevance_level: int
) -> JudgedRanking:
    """Rank by score as float32, then by passage id, both descending, and look the grades up.

    Raises InputError for a score that is NaN, since it has no place in any order.

    >>> judge_ranking("q", {"a": 0.5, "b": 0.5, "c": 0.9}, {"a": 1, "d": 2}, 1)
    JudgedRanking(grades=(-1, -1, 1), levels=(0, 1, 1), relevance_level=1)
    """
    for passage_id, score in scores.items():
        if math.isnan(score):
            raise InputError(
                f"the score of passage {passage_id} for query {query_id} is not a number",
                remedy="mend or remove that line of the run",
            )
    with np.errstate(over="ignore"):  # beyond float32 trec_eval, too, compares infinities
        single = np.array(list(scores.values()), dtype=np.float64).astype(np.float32).tolist()
    ranked = sorted(zip(single, scores, strict=True), reverse=True)
    pooled = {pid: grade if grade >= 0 else NOT_JUDGED for pid, grade in judged.items()}
    grades = tuple(pooled.get(passage_id, NOT_POOLED) for _, passage_id in ranked)
    highest = max([0, *judged.values()])
    levels = [0] * (highest + 1)
    for grade in judged.values():
        if grade >= 0:
            levels[grade] += 1
    return JudgedRanking(grades, tuple(levels), relevance_level)
