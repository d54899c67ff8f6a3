"""One query as trec_eval sees it: the grades of the ranked hits and the counts of the judgments."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ragdiag.errors import InputError

NOT_POOLED = -1
"""Grade of a hit that the judgments do not mention."""
NOT_JUDGED = -2
"""Grade of a hit that the judgments mention with a negative grade: pooled, but not judged."""

HIGHEST_GRADE = 2**63 - 1


@dataclass(frozen=True)
class JudgedRanking:
    """``grades`` by rank (NOT_POOLED, NOT_JUDGED, or 0 and above); ``levels[g]`` judged passages
    have grade g, where any has; a grade of at least ``relevance_level`` is relevant."""

    grades: tuple[int, ...]
    levels: Mapping[int, int]
    relevance_level: int = 1

    @cached_property
    def num_ret(self) -> int:
        return len(self.grades)

    @cached_property
    def num_rel(self) -> int:
        return sum(n for grade, n in self.levels.items() if grade >= self.relevance_level)

    @cached_property
    def num_nonrel(self) -> int:
        return sum(n for grade, n in self.levels.items() if grade < self.relevance_level)

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
        best_first = sorted(self.levels.items(), reverse=True)
        return tuple(grade for grade, n in best_first if grade > 0 for _ in range(n))


def judge_ranking(
    query_id: str, scores: Mapping[str, float], judged: Mapping[str, int], relevance_level: int
) -> JudgedRanking:
    """Rank by score as float32, then by passage id, both descending, and look the grades up.

    Raises InputError for a score that is NaN, since it has no place in any order, and for a grade
    beyond 64 bits, which trec_eval cannot hold either.

    >>> judge_ranking("q", {"a": 0.5, "b": 0.5, "c": 0.9}, {"a": 1, "d": 2}, 1)
    JudgedRanking(grades=(-1, -1, 1), levels={1: 1, 2: 1}, relevance_level=1)
    """
    for passage_id, score in scores.items():
        if math.isnan(score):
            raise InputError(
                f"the score of passage {passage_id} for query {query_id} is not a number",
                remedy="mend or remove that line of the run",
            )
    for passage_id, grade in judged.items():
        if grade > HIGHEST_GRADE:
            raise InputError(
                f"the relevance of passage {passage_id} for query {query_id} is over 64 bits",
                remedy="mend or remove that line of the judgments",
            )
    with np.errstate(over="ignore"):  # beyond float32 trec_eval, too, compares infinities
        single = np.array(list(scores.values()), dtype=np.float64).astype(np.float32).tolist()
    ranked = sorted(zip(single, scores, strict=True), reverse=True)
    pooled = {pid: grade if grade >= 0 else NOT_JUDGED for pid, grade in judged.items()}
    grades = tuple(pooled.get(passage_id, NOT_POOLED) for _, passage_id in ranked)
    levels = Counter(grade for grade in judged.values() if grade >= 0)
    return JudgedRanking(grades, dict(sorted(levels.items())), relevance_level)
