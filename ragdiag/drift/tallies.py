"""What was counted in one cell of week × segment: poolable, comparable, worth one estimate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from ragdiag.metrics.latency import quantile_estimate
from ragdiag.metrics.weighted_latency import (
    weighted_histogram_estimate,
    weighted_quantile_estimate,
)
from ragdiag.records import Estimate, Weighed
from ragdiag.stats.intervals import bounded_mean_estimate
from ragdiag.stats.weighted import (
    WeightedSums,
    difference_of_weighted_rates,
    effective_n,
    weighted_rate,
)


class Tally(Protocol):
    def __add__(self, other: Self, /) -> Self: ...

    def estimate(self) -> Estimate: ...

    @property
    def error(self) -> float:
        """The standard error that the interval rests on, if no two observations belong together;
        NaN where it rests on none."""

    def since(self, before: Self, /) -> Estimate:
        """This minus an earlier, independent one, with its interval."""


@dataclass(frozen=True, slots=True)
class Share:
    """``successes`` of ``n``."""

    successes: Weighed
    n: Weighed

    def __add__(self, other: Share) -> Share:
        return Share(self.successes + other.successes, self.n + other.n)

    def estimate(self) -> Estimate:
        return weighted_rate(self.successes, self.n)

    @property
    def error(self) -> float:
        if not self.n.weighted:
            return math.nan
        rate = min(self.successes.weighted / self.n.weighted, 1.0)
        return math.sqrt(rate * (1 - rate) / effective_n(self.successes, self.n))

    def since(self, before: Share) -> Estimate:
        return difference_of_weighted_rates(before.successes, before.n, self.successes, self.n)


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of scores between 0 and 1, by its sums; the interval is kept in that range."""

    sums: WeightedSums

    def __add__(self, other: Mean) -> Mean:
        return Mean(self.sums + other.sums)

    def estimate(self) -> Estimate:
        return bounded_mean_estimate(self.sums, 0.0, 1.0)

    @property
    def error(self) -> float:
        return math.sqrt(self.sums.error)

    def since(self, before: Mean) -> Estimate:
        return square_and_add(before.estimate(), self.estimate())


@dataclass(frozen=True, slots=True)
class Quantile:
    """The ``q`` quantile of ``values``, in any order, with their ``weights`` (None: 1 each)."""

    values: tuple[float, ...]
    weights: tuple[float, ...] | None
    q: float

    @classmethod
    def none(cls, q: float) -> Self:
        return cls((), None, q)

    def __add__(self, other: Quantile) -> Quantile:
        plain = self.weights is None and other.weights is None
        weights = None if plain else self._weights() + other._weights()
        return Quantile(self.values + other.values, weights, self.q)

    def _weights(self) -> tuple[float, ...]:
        return (1.0,) * len(self.values) if self.weights is None else self.weights

    @property
    def n(self) -> Weighed:
        weights = self._weights()
        return Weighed(len(weights), math.fsum(weights), math.fsum(w * w for w in weights))

    def estimate(self) -> Estimate:
        if self.weights is None:
            return quantile_estimate(self.values, self.q)
        return weighted_quantile_estimate(self.values, self.weights, self.q)

    @property
    def error(self) -> float:
        return math.nan

    def since(self, before: Quantile) -> Estimate:
        return square_and_add(before.estimate(), self.estimate())


@dataclass(frozen=True, slots=True)
class HistogramQuantile:
    """The ``q`` quantile of values that are known by bucket only: number → how many."""

    buckets: Mapping[int | None, Weighed]
    q: float

    @classmethod
    def none(cls, q: float) -> Self:
        return cls({}, q)

    def __add__(self, other: HistogramQuantile) -> HistogramQuantile:
        both = {**self.buckets}
        for bucket, n in other.buckets.items():
            both[bucket] = both.get(bucket, Weighed.of(0)) + n
        return HistogramQuantile(both, self.q)

    @property
    def n(self) -> Weighed:
        return sum(self.buckets.values(), Weighed.of(0))

    def estimate(self) -> Estimate:
        return weighted_histogram_estimate(self.buckets, self.q)

    @property
    def error(self) -> float:
        return math.nan

    def since(self, before: HistogramQuantile) -> Estimate:
        return square_and_add(before.estimate(), self.estimate())


def latency_quantile(row: Mapping[str, Any], q: float) -> Quantile | HistogramQuantile:
    """Of one row of latency_trends.py, by what it has."""
    if row["buckets"] is None:
        weights = row["weights"]
        return Quantile(tuple(row["values"]), None if weights is None else tuple(weights), q)
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
