"""May version B replace version A, by its quality (METHODS.md §11) and by its errors?

The rules for quality, in this order:

1. ``rollback`` if the one-sided 97.5 % upper bound of mean(B − 0.90 A) is below 0: more than a
   tenth is lost;
2. ``pass`` if the one-sided 95 % lower bound of mean(B − 0.98 A), with one question more that B
   gets nothing for, is above 0: less than 2 % is lost;
3. ``rollback`` if the one-sided 97.5 % upper bound of mean(B − A) is below 0: something is lost;
4. else ``inconclusive``: keep A.

A B that is as good as A is rolled back with chance 2.5 %, and one that is 2 % worse passes with
chance 5 %, as far as Student's t holds; "the mean fell by more than 2 %" would roll back a B that
is as good in up to two cases of five. The one question more is for losses that are rare: where B
loses one answer of fifty, thirty questions show none of it more often than not, and no spread
either, so that t alone would pass it with chance 55 %, and with the question more 0 %; over 100 to
500 questions it is 0 to 8 % instead of 8 to 28 % (tests/stats/test_gates.py). Two versions that do
the same on every question pass from some 130 on. Besides, to pass takes LEAST_CLUSTERS questions.
"""

from __future__ import annotations

import math

from ragdiag.stats.contrasts import Contrast, Means
from ragdiag.stats.criteria import (
    LEAST_CLUSTERS,
    PASS_CONFIDENCE,
    ROLLBACK_CONFIDENCE,
    Z_ROLLBACK,
    Criterion,
    Decision,
    needed_n,
    needed_to_pass,
    with_least_clusters,
)
from ragdiag.stats.failure_shares import RateChange

GRAVE, TOLERATED = 0.90, 0.98
ERROR_MARGIN = 0.02
"""How much larger B's share of errors may be."""


def gate_quality(means: Means, measure: str) -> Criterion:
    """The rules above, on a measure of which more is better and 0 is the least.

    >>> from ragdiag.stats.contrasts import paired_means
    >>> a = [1.0, 0.5, 0.0, 1.0] * 50
    >>> gate_quality(paired_means(a, a), "MRR@10").decision
    'pass'
    >>> gate_quality(paired_means(a, [0.8 * x for x in a]), "MRR@10").decision
    'rollback'
    """
    grave, tolerated, whole = (means.contrast(weight) for weight in (GRAVE, TOLERATED, 1.0))
    strict = means.with_loss().contrast(TOLERATED)
    bounds = {
        "b_minus_0.90a_upper": grave.upper(ROLLBACK_CONFIDENCE),
        "b_minus_0.98a_lower": min(one.lower(PASS_CONFIDENCE) for one in (tolerated, strict)),
        "b_minus_a_upper": whole.upper(ROLLBACK_CONFIDENCE),
    }
    decision, reason = _quality_rule(*bounds.values(), clusters=means.clusters)
    ways = (
        with_least_clusters(_needed_to_pass(means, tolerated), means),
        needed_n(means.n, -whole.distance, Z_ROLLBACK),
    )
    return Criterion(
        measure,
        decision,
        reason,
        "difference",
        whole.estimate(means.n),
        a=means.a,
        b=means.b,
        bounds=bounds,
        needed_n=min((n for n in ways if n is not None), default=None),
    )


def _needed_to_pass(means: Means, tolerated: Contrast) -> int | None:
    if math.isnan(tolerated.error):
        return None
    deviation = tolerated.error * math.sqrt(means.n)
    return needed_to_pass(tolerated.value, deviation, TOLERATED * means.a)


def _quality_rule(
    grave: float, tolerated: float, whole: float, *, clusters: int
) -> tuple[Decision, str]:
    """By the bounds of the three rules."""
    if clusters < 2:
        return "inconclusive", "fewer than two questions or users have a value under both versions"
    if grave < 0:
        return "rollback", "more than a tenth of the quality is lost"
    if tolerated > 0 and clusters >= LEAST_CLUSTERS:
        return "pass", "less than 2 % of the quality is lost"
    if whole < 0:
        return "rollback", "some of the quality is lost"
    if tolerated > 0:
        return "inconclusive", _too_few(clusters)
    return "inconclusive", "a loss of 2 % is neither shown nor excluded"


def gate_errors(found: RateChange) -> Criterion:
    """The share of requests that failed: ``pass`` if the upper end of the 95 % interval of B − A
    is at most ERROR_MARGIN, ``rollback`` if the lower end is above it. To pass takes LEAST_CLUSTERS
    users or questions besides.

    >>> from ragdiag.stats.failure_shares import change_of_counts
    >>> gate_errors(change_of_counts(5, 1_000, 6, 1_000)).decision
    'pass'
    >>> gate_errors(change_of_counts(0, 500, 40, 500)).decision
    'rollback'
    """
    change = found.difference
    decision: Decision = "inconclusive"
    reason = change.reason or "the interval of the difference spans the margin"
    if change.high <= ERROR_MARGIN and found.clusters < LEAST_CLUSTERS:
        reason = _too_few(found.clusters)
    elif change.high <= ERROR_MARGIN:
        decision, reason = "pass", f"at most {100 * ERROR_MARGIN:g} points more errors"
    elif change.low > ERROR_MARGIN:
        decision, reason = "rollback", f"over {100 * ERROR_MARGIN:g} points more errors"
    return Criterion(
        "share of errors",
        decision,
        reason,
        "difference",
        change,
        a=found.a,
        b=found.b,
        bounds={"b_minus_a_lower": change.low, "b_minus_a_upper": change.high},
        needed_n=_needed_for_errors(found),
    )


def _needed_for_errors(found: RateChange) -> int | None:
    """From the interval's half that lies towards the margin; none of it has no width."""
    change = found.difference
    above, below = change.high - change.value, change.value - change.low
    if not (above > 0 and below > 0):
        return None
    margin = ERROR_MARGIN - change.value
    distance = margin / above if margin > 0 else -margin / below
    needed = needed_n(found.n, Z_ROLLBACK * distance, Z_ROLLBACK)
    if needed is None or margin <= 0:
        return needed
    return max(needed, math.ceil(LEAST_CLUSTERS * found.n / found.clusters))


def _too_few(clusters: int) -> str:
    return f"to pass takes {LEAST_CLUSTERS} independent questions or users; here are {clusters}"
