"""May version B replace version A, by its p95 latency and by its cost (METHODS.md §11)?

Both are ratios B/A: ``pass`` if the one-sided 95 % upper bound is at most 1.10 (and, for p95 with
an SLO, the bound of B's p95 at most that), ``rollback`` if the one-sided 97.5 % lower bound is
above it. A B that is as fast and as cheap as A is rolled back with chance 2.5 % at the most.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ragdiag.records import Estimate
from ragdiag.stats.contrasts import Floats, Means
from ragdiag.stats.criteria import (
    LEAST_CLUSTERS,
    PASS_CONFIDENCE,
    ROLLBACK_CONFIDENCE,
    Z_PASS,
    Z_ROLLBACK,
    Criterion,
    Decision,
    needed_n,
    with_least_clusters,
)
from ragdiag.stats.quantile_ratios import QuantileRatio

HIGHEST_RATIO = 1.10
LEAST_FOR_P95 = 73
"""Requests; as a two-sided 95 % interval of p95 needs (METHODS.md §14)."""
ONE_CLUSTER = "below two clusters there is no interval"
A_MAY_BE_ZERO = "p95 of A may be 0, so the ratio has no interval"


def gate_latency(found: QuantileRatio, slo_ms: float | None = None) -> Criterion:
    """p95 of the whole request, in milliseconds; without ``slo_ms`` only against A's.

    >>> from ragdiag.stats.quantile_ratios import paired_quantiles
    >>> a = [20.0 + n % 50 for n in range(500)]
    >>> gate_latency(paired_quantiles(a, a, 0.95)).decision
    'pass'
    >>> gate_latency(paired_quantiles(a, a, 0.95), slo_ms=50).reason
    'p95 misses its SLO of 50 ms'
    """
    measure = "p95 latency, ms"
    if not found.n:
        return _undecided(measure, "no request of both versions was timed", 0)
    if not found.a > 0:
        return _undecided(measure, "p95 of A is 0, so there is no ratio", found.n)
    low, high, highest = _percentiles(found.drawn_ratios, found.clusters)
    b_low, b_high, _ = _percentiles(found.drawn_b, found.clusters)
    decision, reason = _ratio_rule(low, high)
    unbounded = ONE_CLUSTER if found.clusters < 2 else A_MAY_BE_ZERO
    if math.isnan(low):
        reason = unbounded
    if slo_ms is not None and b_low > slo_ms:
        decision, reason = "rollback", f"p95 misses its SLO of {slo_ms:g} ms"
    elif slo_ms is not None and b_high > slo_ms and decision == "pass":
        decision, reason = "inconclusive", f"p95 may miss its SLO of {slo_ms:g} ms"
    needed = _needed_for_p95(found, slo_ms)
    if found.n < LEAST_FOR_P95 or found.clusters < LEAST_CLUSTERS:
        least = f"{LEAST_FOR_P95} requests, {LEAST_CLUSTERS} of them independent"
        decision, reason = "inconclusive", f"p95 is judged by {least}"
        needed = max(LEAST_FOR_P95, math.ceil(found.n * LEAST_CLUSTERS / found.clusters))
    return Criterion(
        measure,
        decision,
        reason,
        "ratio",
        Estimate(found.ratio, low, highest, found.n, unbounded if math.isnan(low) else None),
        a=found.a,
        b=found.b,
        bounds={
            "ratio_lower": low,
            "ratio_upper": high,
            "p95_lower": b_low,
            "p95_upper": b_high,
        },
        needed_n=needed,
    )


def gate_cost(means: Means) -> Criterion:
    """Mean cost of a request, in US dollars; not judged where one version has no costs.

    The ratio's interval holds every r for which mean(B − r A) may be 0 (Fieller 1954).

    >>> from ragdiag.stats.contrasts import paired_means
    >>> gate_cost(paired_means([0.010, 0.012] * 20, [0.010, 0.013] * 20)).decision
    'pass'
    """
    measure = "mean cost, $"
    if math.isnan(means.a) or math.isnan(means.b):
        change = Estimate.undefined("no request of one version has a cost")
        return Criterion(measure, None, change.reason or "", "ratio", change)
    if means.a == 0:
        free = means.b == 0
        reason = "neither version costs anything" if free else "A costs nothing and B does"
        return _undecided(measure, reason, means.n, "pass" if free else "inconclusive")
    low, high = _fieller_low(means), _fieller_high(means, PASS_CONFIDENCE)
    decision, reason = _ratio_rule(low, high)
    if means.clusters < LEAST_CLUSTERS:
        decision, reason = (
            "inconclusive",
            f"cost is judged by {LEAST_CLUSTERS} independent requests",
        )
    distance = means.contrast(HIGHEST_RATIO).distance
    z = Z_PASS if distance < 0 else Z_ROLLBACK
    return Criterion(
        measure,
        decision,
        reason,
        "ratio",
        Estimate(means.b / means.a, low, _fieller_high(means, ROLLBACK_CONFIDENCE), means.n),
        a=means.a,
        b=means.b,
        bounds={"ratio_lower": low, "ratio_upper": high},
        needed_n=with_least_clusters(needed_n(means.n, abs(distance), z), means),
    )


def _undecided(measure: str, reason: str, n: int, decision: Decision = "inconclusive") -> Criterion:
    return Criterion(measure, decision, reason, "ratio", Estimate.undefined(reason, n=n))


def _ratio_rule(low: float, high: float) -> tuple[Decision, str]:
    percent = f"{100 * (HIGHEST_RATIO - 1):.0f} %"
    if high <= HIGHEST_RATIO:
        return "pass", f"at most {percent} more"
    if low > HIGHEST_RATIO:
        return "rollback", f"over {percent} more"
    return "inconclusive", f"{percent} more is neither shown nor excluded"


def _percentiles(drawn: Floats, clusters: int) -> tuple[float, float, float]:
    """One-sided bounds at 97.5 % below and at 95 % and 97.5 % above; NaN below two clusters, of
    which every draw is the same, and where draws without a ratio leave them open."""
    if clusters < 2:
        return math.nan, math.nan, math.nan
    levels = [1 - ROLLBACK_CONFIDENCE, PASS_CONFIDENCE, ROLLBACK_CONFIDENCE]
    with np.errstate(invalid="ignore"):
        low, high, highest = np.quantile(drawn, levels)
    return float(low), float(high), float(highest)


def _needed_for_p95(found: QuantileRatio, slo_ms: float | None) -> int | None:
    """By the spread of the drawn logarithms: to pass both limits, or else to miss the one that B
    is over."""
    limits = [(found.ratio, found.drawn_ratios, HIGHEST_RATIO)]
    if slo_ms is not None:
        limits.append((found.b, found.drawn_b, slo_ms))
    # A draw whose p95 of A is 0 has no ratio, and one of B's has no logarithm.
    undefined = [not np.isfinite(drawn).all() or drawn.min() == 0 for _, drawn, _ in limits]
    if found.b == 0 or any(undefined):
        return None
    needed = []
    for value, drawn, limit in limits:
        margin, spread = math.log(limit / value), float(np.std(np.log(drawn)))
        if margin == 0 or spread == 0:
            continue
        distance = margin / spread
        if distance < 0:
            return needed_n(found.n, -distance, Z_ROLLBACK)
        needed.append(needed_n(found.n, distance, Z_PASS) or 0)
    return max(needed, default=None)


def _fieller_high(means: Means, confidence: float) -> float:
    """The largest r for which mean(B − r A) may be 0; NaN where A's mean may be 0 itself."""
    high = means.b / means.a or 1.0
    for _ in range(60):
        high *= 2
        if means.contrast(high).upper(confidence) < 0:
            return _root(lambda r: means.contrast(r).upper(confidence), 0.0, high)
    return math.nan


def _fieller_low(means: Means) -> float:
    """The smallest such r; costs are not negative, so neither is it."""
    ratio = means.b / means.a
    return _root(lambda r: means.contrast(r).lower(ROLLBACK_CONFIDENCE), 0.0, ratio)


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses 0 between two points; ``low`` where it never is above."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return low
