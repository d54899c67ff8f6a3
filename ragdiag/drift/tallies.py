"""What was counted in one cell of week × segment: poolable, and worth one estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, Self

from ragdiag.metrics.latency import quantile_estimate
from ragdiag.records import Estimate
from ragdiag.stats.intervals import wilson

NORMAL_FROM = 30
"""Fewer values than this and a mean of bounded scores gets no interval."""


class Tally(Protocol):
    def __add__(self, other: Self) -> Self: ...

    def estimate(self) -> Estimate: ...


@dataclass(frozen=True, slots=True)
class Share:
    """``successes`` of ``n``."""

    successes: int
    n: int

    def __add__(self, other: Share) -> Share:
        return Share(self.successes + other.successes, self.n + other.n)

    def estimate(self) -> Estimate:
        return wilson(self.successes, self.n)


@dataclass(frozen=True, slots=True)
class Mean:
    """``n`` values by their sum and the sum of their squares.

    >>> Mean(4, 2.0, 1.0).estimate().value
    0.5
    """

    n: int
    total: float
    squares: float

    def __add__(self, other: Mean) -> Mean:
        return Mean(self.n + other.n, self.total + other.total, self.squares + other.squares)

    def estimate(self) -> Estimate:
        """Mean ± 1.96·s/√n, clipped to the scores' range 0 … 1."""
        if not self.n:
            return Estimate.undefined("no judged requests")
        mean = self.total / self.n
        if self.n < NORMAL_FROM:
            reason = f"fewer than {NORMAL_FROM} judged requests"
            return Estimate(mean, math.nan, math.nan, self.n, reason)
        variance = max(self.squares - self.n * mean**2, 0.0) / (self.n - 1)
        half = 1.96 * math.sqrt(variance / self.n)
        return Estimate(mean, max(mean - half, 0.0), min(mean + half, 1.0), self.n)


@dataclass(frozen=True, slots=True)
class Quantile:
    """Sorted or unsorted ``values``, of which the ``q`` quantile is wanted."""

    values: tuple[float, ...]
    q: float

    def __add__(self, other: Quantile) -> Quantile:
        return Quantile(self.values + other.values, self.q)

    def estimate(self) -> Estimate:
        if not self.values:
            return Estimate.undefined("no timed requests")
        return quantile_estimate(self.values, self.q)
