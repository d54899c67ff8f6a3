"""Quantiles of latencies (or of any measured values) with order-statistic intervals.

The number of values at or below the true q-quantile is Binomial(n, q) whatever the distribution,
so two of the sorted values bound the quantile without any assumption (David & Nagaraja 2003,
§7.1; METHODS.md §14).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ragdiag.records import Estimate
from ragdiag.timing import BUCKET_BASE, RELATIVE_ERROR

TAIL = 0.025
"""Probability left outside on each side of a two-sided 95 % interval."""
FROM_HISTOGRAM = f"from a histogram, ± {RELATIVE_ERROR:.0%}".replace("%", " %")


def quantile_estimate(values: Sequence[float], q: float) -> Estimate:
    """The q-quantile (0 < q < 1) with its 95 % interval, in the unit of the values.

    The value is the ⌈nq⌉-th smallest: something that was really observed. Too few values for an
    interval: the value stands and the bounds are NaN, with the n that is needed. Undefined values
    (NaN) are left out and counted in the reason.

    >>> quantile_estimate([30.0, 10.0, 20.0], 0.5).value
    20.0
    >>> quantile_estimate([30.0, 10.0, 20.0], 0.5).reason
    'a 95 % interval for p50 needs n ≥ 7'
    >>> quantile_estimate(range(1, 101), 0.5)
    Estimate(value=50, low=40, high=61, n=100, reason=None)
    """
    if not 0 < q < 1:
        raise ValueError(f"q must lie between 0 and 1, not {q}")
    kept = sorted(value for value in values if not math.isnan(value))
    n, dropped = len(kept), len(values) - len(kept)
    notes = [f"{dropped} undefined values left out"] if dropped else []
    if n == 0:
        return Estimate.undefined("; ".join(["no values", *notes]))
    value = kept[_rank(n, q) - 1]
    if n < needed_for_interval(q):
        notes.insert(0, f"a 95 % interval for p{100 * q:g} needs n ≥ {needed_for_interval(q)}")
        return Estimate(value, math.nan, math.nan, n, "; ".join(notes))
    low, high = interval_ranks(n, q)
    return Estimate(value, kept[low - 1], kept[high - 1], n, "; ".join(notes) or None)


def histogram_quantile_estimate(buckets: Mapping[int | None, int], q: float) -> Estimate:
    """As :func:`quantile_estimate`, from how many values fell into each bucket; None holds zeros.

    The value is its bucket's middle, so it is within RELATIVE_ERROR of the exact one. The interval
    reaches from the lower edge of the bucket with its lower rank to the upper edge of the one with
    its upper rank: it holds the exact interval, and is wider by two buckets at most. The reason
    says so.

    >>> found = histogram_quantile_estimate({0: 80, 10: 20}, 0.5)
    >>> round(found.value, 2), round(found.low, 2), found.high, found.n, found.reason
    (0.99, 0.98, 1.0, 100, 'from a histogram, ± 1 %')
    """
    if not 0 < q < 1:
        raise ValueError(f"q must lie between 0 and 1, not {q}")
    filled = sorted(
        (float("-inf") if bucket is None else bucket, count)
        for bucket, count in buckets.items()
        if count
    )
    n = sum(count for _, count in filled)
    if n == 0:
        return Estimate.undefined("no values")

    def bucket_at(rank: int) -> float:
        reached = 0
        for bucket, count in filled:
            reached += count
            if reached >= rank:
                return bucket
        return filled[-1][0]

    middle = 2 / (BUCKET_BASE + 1) * BUCKET_BASE ** bucket_at(_rank(n, q))
    if n < needed_for_interval(q):
        needed = f"a 95 % interval for p{100 * q:g} needs n ≥ {needed_for_interval(q)}"
        return Estimate(middle, math.nan, math.nan, n, f"{needed}; {FROM_HISTOGRAM}")
    low, high = interval_ranks(n, q)
    lower, upper = BUCKET_BASE ** (bucket_at(low) - 1), BUCKET_BASE ** bucket_at(high)
    return Estimate(middle, lower, upper, n, FROM_HISTOGRAM)


def needed_for_interval(q: float) -> int:
    """Fewest values for a two-sided 95 % interval of the q-quantile.

    The larger tail, max(q, 1 − q) to the power of n − 1, must not exceed 2.5 %: one value more
    than the exact bound, so that the interval is never the bare range (METHODS.md §14: 73 for
    p95).

    >>> [needed_for_interval(q) for q in (0.5, 0.95, 0.99)]
    [7, 73, 369]
    """
    return 1 + math.ceil(math.log(TAIL) / math.log(max(q, 1 - q)))


def interval_ranks(n: int, q: float) -> tuple[int, int]:
    """Ranks (from 1) of the sorted values that bound the q-quantile with 95 % confidence.

    With B ~ Binomial(n, q): the largest low with P(B < low) ≤ 2.5 % and the smallest high with
    P(B ≥ high) ≤ 2.5 %. Needs n ≥ ``needed_for_interval(q)``.

    >>> interval_ranks(73, 0.95)
    (65, 73)
    """
    first, mass = _binomial(n, q)
    below = 0.0  # P(B < low)
    low = first
    while below + mass[low - first] <= TAIL:
        below += mass[low - first]
        low += 1
    last = first + len(mass) - 1
    above = 0.0  # P(B ≥ high)
    high = last + 1
    while above + mass[high - 1 - first] <= TAIL:
        above += mass[high - 1 - first]
        high -= 1
    return low, high


def _rank(n: int, q: float) -> int:
    """⌈nq⌉, not thrown up a rank by the rounding of n·q."""
    return max(1, math.ceil(n * q - 1e-9))


def _binomial(n: int, q: float) -> tuple[int, list[float]]:
    """(k, masses): P(B = k), P(B = k + 1), … for B ~ Binomial(n, q), wherever above 1e-20.

    Ratios outward from the mode, then scaled to 1: no factorial overflows, and the window is some
    20 standard deviations wide, so that a million values cost milliseconds.
    """
    mode = min(n, int((n + 1) * q))
    odds = q / (1 - q)
    down, up = [], []
    weight = 1.0
    for k in range(mode, 0, -1):
        weight *= k / ((n - k + 1) * odds)
        if weight < 1e-20:
            break
        down.append(weight)
    weight = 1.0
    for k in range(mode, n):
        weight *= (n - k) / (k + 1) * odds
        if weight < 1e-20:
            break
        up.append(weight)
    weights = [*reversed(down), 1.0, *up]
    total = math.fsum(weights)
    return mode - len(down), [weight / total for weight in weights]
