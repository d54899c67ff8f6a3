"""How much further a mean may lie off because the same users ask again, from sums alone.

A user's answers are more alike than those of strangers, so an interval that takes every request to
be independent is too narrow (the design effect of Kish 1965). With N_u and Y_u the weights and the
weighted values of one user's requests, the mean R = ΣY / ΣN has the variance

    G / (G − 1) · Σ (Y_u − R N_u)² / (ΣN)²

over G users (linearised; Särndal, Swensson & Wretman 1992, §5.7; METHODS.md §10), which needs the
sums of Y, N, Y², Y·N and N² alone. The quantile is Student's with G − 1 degrees of freedom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ragdiag.records import Estimate
from ragdiag.stats.intervals import Z95, score_interval, student_quantile


@dataclass(frozen=True, slots=True)
class Scatter:
    """Of ``owners`` with any observation, ``largest`` of them by one: sums over owners of what they
    weigh (``n``), of their weighted values (``y``), and of squares and products of the two."""

    owners: int
    largest: int
    n: float
    y: float
    nn: float
    yn: float
    yy: float

    @property
    def is_plain(self) -> bool:
        """Whether nobody was observed twice."""
        return self.largest <= 1

    @property
    def error(self) -> float:
        """The standard error of the mean; NaN below two owners."""
        if self.owners < 2 or not self.n:
            return math.nan
        mean = self.y / self.n
        spread = self.yy - 2 * mean * self.yn + mean * mean * self.nn
        return math.sqrt(max(spread, 0.0) * self.owners / (self.owners - 1)) / self.n


def widened(found: Estimate, error: float, scatter: Scatter) -> Estimate:
    """``found``, whose interval rests on the standard ``error`` of independent observations, with
    the interval that ``scatter`` asks for; never a narrower one, and kept within 0 … 1.

    As it was where nobody was observed twice. Where all succeeded or all failed (``error`` is 0) a
    user counts as one observation; without an interval where one user alone was observed, and as it
    was where ``error`` is NaN.

    >>> from ragdiag.stats.intervals import wilson
    >>> fifty = Scatter(owners=50, largest=4, n=200, y=100, nn=800, yn=400, yy=400)
    >>> found = widened(wilson(100, 200), math.sqrt(0.25 / 200), fifty)
    >>> round(found.low, 3), round(found.high, 3)
    (0.358, 0.642)
    """
    if scatter.is_plain or math.isnan(found.low) or math.isnan(error):
        return found
    if scatter.owners < 2:
        alone = "all of one user: how much users differ is not known"
        return replace(found, low=math.nan, high=math.nan, reason=alone)
    if not error > 0:
        if found.value not in (0.0, 1.0):
            return found
        low, high = score_interval(found.value, scatter.owners)
        return replace(found, low=min(found.low, low), high=max(found.high, high))
    quantile = student_quantile(scatter.owners - 1)
    factor = quantile / Z95 * scatter.error / error
    if not factor > 1:
        return found
    return replace(
        found,
        low=max(0.0, found.value - factor * (found.value - found.low)),
        high=min(1.0, found.value + factor * (found.high - found.value)),
    )
