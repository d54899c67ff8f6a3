"""The difference of two independent estimates, with an interval made from their own intervals."""

from __future__ import annotations

import math

from ragdiag.records import Estimate


def difference(before: Estimate, after: Estimate) -> Estimate:
    """``after − before`` by square-and-add (MOVER), from two independent 95 % intervals.

    d = θ₂ − θ₁, low = d − √((θ₂−l₂)² + (u₁−θ₁)²), high = d + √((u₂−θ₂)² + (θ₁−l₁)²).
    On two Wilson intervals it is Newcombe's method 10 for proportions. ``n`` is the smaller of
    the two. Undefined where a value is, and without bounds where an interval is missing.

    Newcombe's own example, 56/70 against 48/80:

    >>> from ragdiag.records import Estimate
    >>> treated = Estimate(0.8, 0.6921, 0.8774, 70)  # Wilson
    >>> control = Estimate(0.6, 0.4905, 0.7003, 80)
    >>> found = difference(control, treated)
    >>> round(found.low, 3), round(found.high, 3)
    (0.053, 0.334)

    Source: Newcombe 1998, Statistics in Medicine 17:873; Zou & Donner 2008, 27:1693.
    """
    n = min(before.n, after.n)
    value = after.value - before.value
    if math.isnan(value):
        reason = before.reason if math.isnan(before.value) else after.reason
        return Estimate.undefined(reason or "one side is undefined", n=n)
    low = value - math.hypot(after.value - after.low, before.high - before.value)
    high = value + math.hypot(after.high - after.value, before.value - before.low)
    if math.isnan(low) or math.isnan(high):
        reason = before.reason or after.reason or "one side has no interval"
        return Estimate(value, math.nan, math.nan, n, reason)
    return Estimate(value, low, high, n)
