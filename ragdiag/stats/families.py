"""Several tests or intervals read together on a page (METHODS.md §13); Holm's rule, for decisions,
is in paired.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragdiag.records import Estimate
from ragdiag.stats.intervals import student_quantile


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """p adjusted so that of those at most α a share of α is expected to be false (Benjamini &
    Hochberg 1995, step-up; for independent tests, and for those that depend positively).

    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    adjusted = [0.0] * len(p_values)
    least = 1.0
    falling = sorted(enumerate(p_values), key=lambda item: -item[1])
    for above, (number, p) in enumerate(falling):
        least = min(least, p * len(p_values) / (len(p_values) - above))
        adjusted[number] = least
    return adjusted


def hold_together(found: Estimate, count: int, freedom: float) -> Estimate:
    """One of ``count`` estimates, its 95 % interval widened so that all of them hold at once with
    95 %, and so does that of whichever is picked (Dunn 1961): by Student's quantiles for .05/count
    and .05, each bound from the value on, so that a resampled interval keeps its slant.

    >>> wide = hold_together(Estimate(0.1, 0.0, 0.2, 100), 8, freedom=99)
    >>> round(wide.low, 4), round(wide.high, 4)
    (-0.0408, 0.2408)
    """
    if count < 2 or not freedom >= 1:
        return found
    ratio = student_quantile(freedom, 1 - 0.025 / count) / student_quantile(freedom)
    low = found.value - ratio * (found.value - found.low)
    return replace(found, low=low, high=found.value + ratio * (found.high - found.value))
