"""Quantiles over all requests, from logged ones that were drawn with a known chance.

A request weighs w = 1 / its chance. The q-quantile is the smallest value at or below which lies the
share q of all weight; its interval inverts that of the share (Woodruff 1952, JASA 47:635) with the
ranks of latency.py, for as many values as would tell the share as well. Where everything was
logged, both are latency.py's.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ragdiag.metrics.latency import (
    FROM_HISTOGRAM,
    histogram_quantile_estimate,
    interval_ranks,
    needed_for_interval,
    quantile_estimate,
)
from ragdiag.records import Estimate, Weighed
from ragdiag.timing import BUCKET_BASE

ROUNDING = 1e-9
"""Share of all weight that sums of weights may be off by."""


def weighted_quantile_estimate(
    values: Sequence[float], weights: Sequence[float], q: float
) -> Estimate:
    """The q-quantile (0 < q < 1) of ``values``, in any order, with its 95 % interval.

    The estimate's n is how many values there are.

    >>> weighted_quantile_estimate([900.0, 20.0, 10.0], [1.0, 10.0, 10.0], 0.5).value
    20.0
    """
    if all(weight == 1 for weight in weights):
        return quantile_estimate(values, q)
    # Equal values are one item: how much they tell cannot hang on the order of their weights.
    equal: dict[float, list[float]] = {}
    for value, weight in zip(values, weights, strict=True):
        equal.setdefault(value, []).append(weight)
    kept = sorted(equal)
    squares = [sum(weight * weight for weight in equal[value]) for value in kept]
    found = _places([sum(equal[value]) for value in kept], squares, q)
    if found.bounds is None:
        return Estimate(kept[found.at], math.nan, math.nan, len(values), found.reason(q))
    low, high = found.bounds
    return Estimate(kept[found.at], kept[low], kept[high], len(values))


def weighted_histogram_estimate(buckets: Mapping[int | None, Weighed], q: float) -> Estimate:
    """As :func:`weighted_quantile_estimate`, from what fell into each bucket; None holds zeros.
    The value is as exact as in :func:`histogram_quantile_estimate`; the bounds reach to the edges
    of their buckets."""
    if all(held.is_plain for held in buckets.values()):
        return histogram_quantile_estimate({b: int(w.plain) for b, w in buckets.items()}, q)
    filled = sorted(
        (-math.inf if bucket is None else bucket, held)
        for bucket, held in buckets.items()
        if held.plain
    )
    n = sum(int(held.plain) for _, held in filled)
    found = _places([w.weighted for _, w in filled], [w.squared for _, w in filled], q)
    middle = 2 / (BUCKET_BASE + 1) * BUCKET_BASE ** filled[found.at][0]
    if found.bounds is None:
        note = f"{found.reason(q)}; {FROM_HISTOGRAM}"
        return Estimate(middle, math.nan, math.nan, n, note)
    low, high = (filled[place][0] for place in found.bounds)
    return Estimate(middle, BUCKET_BASE ** (low - 1), BUCKET_BASE**high, n, FROM_HISTOGRAM)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the quantile and its bounds lie among sorted items, and the effective n."""

    at: int
    bounds: tuple[int, int] | None
    effective_n: float

    def reason(self, q: float) -> str:
        return (
            f"a 95 % interval for p{100 * q:g} needs n ≥ {needed_for_interval(q)}, "
            f"these tell as much as {self.effective_n:.0f}"
        )


def _places(weights: Sequence[float], squares: Sequence[float], q: float) -> _Places:
    """``weights`` are Σw and ``squares`` Σw² of each item, in the order of their values."""
    if not 0 < q < 1:
        raise ValueError(f"q must lie between 0 and 1, not {q}")
    reached = list(accumulate(weights))
    whole, slack = reached[-1], ROUNDING * reached[-1]

    def first_at(share: float) -> int:
        return min(bisect_left(reached, share * whole - slack), len(reached) - 1)

    at = first_at(q)
    below = reached[at] / whole
    inner, outer = sum(squares[: at + 1]), sum(squares[at + 1 :])
    spread = (1 - below) ** 2 * inner + below**2 * outer
    effective = below * (1 - below) * whole**2 / spread if outer else whole**2 / inner
    m = math.floor(effective + ROUNDING)
    if m < needed_for_interval(q):
        return _Places(at, None, effective)
    low, high = interval_ranks(m, q)
    # The low rank's value ends above (low − 1) / m of the weight: the first that goes beyond it.
    lower = min(bisect_left(reached, (low - 1) / m * whole + slack), len(reached) - 1)
    return _Places(at, (lower, first_at(high / m)), effective)
