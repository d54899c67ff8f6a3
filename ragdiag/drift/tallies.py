"""What was counted in one cell of week × segment: poolable, comparable, worth one estimate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from ragdiag.metrics.latency import histogram_quantile_estimate, quantile_estimate
from ragdiag.records import Estimate
from ragdiag.stats.intervals import (
    Sums,
    difference_of_means,
    difference_of_rates,
    mean_estimate_from_sums,
    wilson,
)


class Tally(Protocol):
    def __add__(self, other: Self, /) -> Self: ...

    def estimate(self) -> Estimate: ...

    def since(self, before: Self, /) -> Estimate:
        """This minus an earlier, independent one, with its interval."""


@dataclass(frozen=True, slots=True)
class Share:
    """``successes`` of ``n``."""

    successes: int
    n: int

    def __add__(self, other: Share) -> Share:
        return Share(self.successes + other.successes, self.n + other.n)

    def estimate(self) -> Estimate:
        return wilson(self.successes, self.n)

    def since(self, before: Share) -> Estimate:
        return difference_of_rates(before.successes, before.n, self.successes, self.n)


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of scores between 0 and 1, by its sums; the interval is kept in that range."""

    sums: Sums

    def __add__(self, other: Mean) -> Mean:
        first, second = self.sums, other.sums
        return Mean(
            Sums(
                first.n + second.n,
                first.total + second.total,
                first.total_squares + second.total_squares,
            )
        )

    def estimate(self) -> Estimate:
        found = mean_estimate_from_sums(self.sums.n, self.sums.total, self.sums.total_squares)
        return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))

    def since(self, before: Mean) -> Estimate:
        return difference_of_means(before.sums, self.sums)


@dataclass(frozen=True, slots=True)
class Quantile:
    """The ``q`` quantile of ``values``, in any order."""

    values: tuple[float, ...]
    q: float

    def __add__(self, other: Quantile) -> Quantile:
        return Quantile(self.values + other.values, self.q)

    def estimate(self) -> Estimate:
        return quantile_estimate(self.values, self.q)

    def since(self, before: Quantile) -> Estimate:
        return square_and_add(before.estimate(), self.estimate())


@dataclass(frozen=True, slots=True)
class HistogramQuantile:
    """The ``q`` quantile of values that are known by bucket only: number → how many."""

    buckets: Mapping[int | None, int]
    q: float

    def __add__(self, other: HistogramQuantile) -> HistogramQuantile:
        both = {**self.buckets}
        for bucket, n in other.buckets.items():
            both[bucket] = both.get(bucket, 0) + n
        return HistogramQuantile(both, self.q)

    def estimate(self) -> Estimate:
        return histogram_quantile_estimate(self.buckets, self.q)

    def since(self, before: HistogramQuantile) -> Estimate:
        return square_and_add(before.estimate(), self.estimate())


def latency_quantile(row: Mapping[str, Any], q: float) -> Quantile | HistogramQuantile:
    """Of one row of latency_trends.py, by what it has."""
    if row["buckets"] is None:
        return Quantile(tuple(row["values"]), q)
    return HistogramQuantile(row["buckets"], q)


def square_and_add(before: Estimate, after: Estimate) -> Estimate:
    """``after − before`` from two independent 95 % intervals (MOVER).

    low = d − √((θ₂−l₂)² + (u₁−θ₁)²), high = d + √((u₂−θ₂)² + (θ₁−l₁)²); the n is both together.
    Without an interval on either side there are no bounds. Source: Zou & Donner 2008, Statistics
    in Medicine 27:1693.

    >>> from ragdiag.records import Estimate
    >>> square_and_add(Estimate(100, 97, 104, 500), Estimate(120, 117, 124, 500))
    Estimate(value=20, low=15.0, high=25.0, n=1000, reason=None)
    """
    n = before.n + after.n
    value = after.value - before.value
    low = value - math.hypot(after.value - after.low, before.high - before.value)
    high = value + math.hypot(after.high - after.value, before.value - before.low)
    if math.isnan(low) or math.isnan(high):
        reason = before.reason or after.reason or "one side has no interval"
        return Estimate(value, math.nan, math.nan, n, reason)
    return Estimate(value, low, high, n)
