"""Two versions' shares of requests that failed, where what belongs together fails together.

A share with its score interval on n* = n / D requests, D its design effect (Korn & Graubard 1998,
Survey Methodology 24:193): its cluster-robust variance over that of independent requests, times the
squared ratio of Student's quantiles on the degrees of freedom of either. D is 1 at the least, since
clusters that balance by chance promise nothing, and with one request a cluster it is 1. Both
intervals make that of the difference (Newcombe 1998; MOVER: Zou & Donner 2008).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from ragdiag.records import Estimate
from ragdiag.stats.contrasts import clustered_mean
from ragdiag.stats.intervals import newcombe, score_interval, student_quantile


@dataclass(frozen=True, slots=True)
class FailureShare:
    """``failures`` in ``n`` requests of ``clusters``; ``effect`` is D above, NaN where nothing
    tells it: more requests than clusters, of which none failed or all did."""

    failures: int
    n: int
    clusters: int
    effect: float

    @property
    def rate(self) -> float:
        return self.failures / self.n if self.n else math.nan

    def estimate(self, effect: float) -> Estimate:
        """The share with its interval under this design effect; undefined without requests."""
        if not self.n:
            return Estimate.undefined("no rows")
        return Estimate(self.rate, *score_interval(self.rate, self.n / effect), self.n)


@dataclass(frozen=True, slots=True)
class RateChange:
    """Shares ``a`` and ``b``, and ``difference`` b − a; ``n`` counts B's requests, the candidate's,
    and ``clusters`` are those of the side that has fewer."""

    a: float
    b: float
    difference: Estimate
    n: int
    clusters: int


def failure_share(failed: Sequence[bool], clusters: Sequence[Hashable]) -> FailureShare:
    """A share from outcomes and what belongs together; one cluster tells nothing of others, and its
    D is n.

    >>> failure_share([True, False, False, False], "uvwx").effect
    1.0
    >>> twice = failure_share([True, True, False, False] * 10, [k // 2 for k in range(40)])
    >>> round(twice.effect, 2)
    2.2
    """
    n, count = len(failed), len(set(clusters))
    failures = sum(map(bool, failed))
    return FailureShare(failures, n, count, _effect(failed, clusters, failures, count))


def change_of_rates(a: FailureShare, b: FailureShare) -> RateChange:
    """b − a. Either share has the larger of both design effects, as far as it has clusters of more
    than one request: few failures show too small a one more often than not. Where neither tells
    one, a cluster counts as one request: whoever fails may always fail, for all one knows.

    >>> a, b = failure_share([False] * 400, range(400)), failure_share([False] * 400, range(400))
    >>> round(change_of_rates(a, b).difference.high, 4)
    0.0095
    """
    known = [one.effect for one in (a, b) if not math.isnan(one.effect)]
    return _change(a, b, *(_shared_effect(one, known) for one in (a, b)))


def change_of_counts(
    failures_a: int, n_a: int, failures_b: int, n_b: int, effect: float = 1.0
) -> RateChange:
    """The same of requests that all stand alone, or that have this design effect.

    >>> round(change_of_counts(0, 400, 0, 400, effect=2.0).difference.high, 4)
    0.0188
    """
    a, b = FailureShare(failures_a, n_a, n_a, effect), FailureShare(failures_b, n_b, n_b, effect)
    return _change(a, b, effect, effect)


def _change(a: FailureShare, b: FailureShare, effect_a: float, effect_b: float) -> RateChange:
    return RateChange(
        a=a.rate,
        b=b.rate,
        difference=newcombe(a.estimate(effect_a), b.estimate(effect_b)),
        n=b.n,
        clusters=min(a.clusters, b.clusters),
    )


def _shared_effect(one: FailureShare, known: Sequence[float]) -> float:
    if one.n == one.clusters:
        return 1.0
    return max(known) if known else one.n / one.clusters


def _effect(
    failed: Sequence[bool], clusters: Sequence[Hashable], failures: int, count: int
) -> float:
    n = len(failed)
    if count == n:
        return 1.0
    if count == 1:
        return float(n)
    if failures in (0, n):
        return math.nan
    found = clustered_mean([float(one) for one in failed], clusters)
    rate = failures / n
    reach = student_quantile(found.freedom) / student_quantile(n - 1)
    return max(1.0, found.error**2 * reach**2 * (n - 1) / (rate * (1 - rate)))
