"""What is fixed when a candidate starts, so that looking at it later cannot bend the rules.

The metric, how many requests the one fixed test takes (METHODS.md §10), and the reference rates
that the candidate is watched against until then (§13), all from production's latest requests.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from ragdiag.deploy.arms import (
    MONITORS,
    Cluster,
    Judgments,
    clusters_of,
    error_rate,
    metric_values,
    monitored,
)
from ragdiag.deploy.thinning import lowest_chance, thin
from ragdiag.errors import InputError
from ragdiag.metrics.latency import needed_for_interval, quantile_estimate
from ragdiag.stats.contrasts import Floats, clustered_mean
from ragdiag.stats.criteria import LEAST_CLUSTERS
from ragdiag.stats.failure_shares import FailureShare, change_of_counts
from ragdiag.stats.gates import TOLERATED, gate_errors
from ragdiag.stats.intraclass import correlation_bound
from ragdiag.stats.paired import DETECTABLE, planned_n
from ragdiag.stats.ratio_gates import HIGHEST_RATIO, LEAST_FOR_P95
from ragdiag.stats.sequential import HIGHEST_REFERENCE, level_for, reference_bound
from ragdiag.store.outcomes import Outcome

REFERENCE_REQUESTS = 2_000
LEAST_REFERENCE = 100
"""Known outcomes below which a rate is not watched, or a size not planned."""
FALSE_ROLLBACK = 0.05
"""Chance that a version as good as production is rolled back while it is watched."""
FEWEST_USERS = 12
"""Of fewer each request counts by itself: where failures are rare and all of a user's may be one
user's own trouble, not even an outage of everything would reach the level (3 to the power of 12
does). Then it is found, and their sessions may raise a false alarm."""
RELEASE_WATCH = 10_000
"""Requests for which a version that became production is watched."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A rate to watch for: ``p0`` is the upper bound of what production has shown, in ``bad`` of
    ``n`` requests, and ``rho`` that of the correlation of one user's; 0 in a plan of an older
    version, which took no heed of it."""

    p0: float
    bad: int
    n: int
    rho: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """``planned_n`` judged requests decide; with them a true ``detectable`` difference shows with
    80 % power (None: production has shown no spread). ``planned_requests`` hold as many judged
    ones, if they are judged as often as production's were. ``level`` is the mean number of requests
    between false alarms. A request over ``slow_ms`` counts as slow. All of this is of a plain
    sample (thinning.py) that takes a request with chance ``keep_probability``.

    ``monitors`` has only the rates that can be watched, ``unwatched`` says why the others cannot.
    Below ``least_n`` judged requests no version passes, not even one without any error, as long as
    production fails, is judged and is answered from a cache as often as it was. ``share`` is a
    canary's; None where there is none, or the plan is of an older version.
    """

    metric: str
    planned_n: int
    planned_requests: int
    detectable: float | None
    level: float
    slo_ms: float | None
    slow_ms: float | None
    monitors: Mapping[str, Reference]
    unwatched: Mapping[str, str]
    keep_probability: float = 1.0
    least_n: int = 0
    share: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        monitors = {name: Reference(**one) for name, one in document["monitors"].items()}
        return cls(**{**document, "monitors": monitors})


def plan_canary(
    reference: Sequence[Outcome],
    judgments: Judgments,
    *,
    metric: str,
    share: float,
    n: int | None = None,
    slo_ms: float | None = None,
) -> Plan:
    """For a candidate that answers a ``share`` of production's users, and is compared without
    pairs: the variance of one value is 1/(1 − share) times that of the candidate's mean. One user's
    requests are not as many users', so the spread is that of a mean by users, as the
    gate takes it, while a user asks as often as in ``reference``.

    Raises InputError where ``n`` is not given and production has too few judged requests to plan,
    all of them have the same value or one user, and where ``n`` is too small for any to pass.
    """
    inflation = 1 / (1 - share)
    plan = _plan(
        reference, judgments, metric, n, slo_ms, share=share, inflation=inflation, by="owner"
    )
    if plan.planned_n < plan.least_n:
        raise InputError(
            f"with {plan.planned_n} judged requests no canary passes the gate, not even one without"
            " any error, while production goes on as it did",
            remedy=f"give --planned-n {plan.least_n} or more",
        )
    return replace(plan, share=share)


def plan_shadow(
    reference: Sequence[Outcome],
    judgments: Judgments,
    *,
    metric: str,
    n: int | None = None,
    slo_ms: float | None = None,
) -> Plan:
    """For a candidate that answers the same questions. How alike two versions answer is not known
    before, so differences are taken to spread as much as values do: a correlation of ½. Nobody sees
    its answers, so no rate is watched, and an ``n`` with which it cannot pass harms nobody. What
    asks one question belongs together."""
    plan = _plan(reference, judgments, metric, n, slo_ms, share=1.0, inflation=1.0, by="question")
    return replace(plan, monitors={}, unwatched={})


def plan_release_watch(old: Plan, reference: Sequence[Outcome], judgments: Judgments) -> Plan:
    """For a version that has just become production, against what served before it: no gate comes,
    and RELEASE_WATCH counts all requests, judged or not."""
    n = RELEASE_WATCH
    plan = _plan(
        reference, judgments, old.metric, n, old.slo_ms, share=1.0, inflation=1.0, by="owner"
    )
    return replace(plan, planned_requests=n, level=level_for(n, FALSE_ROLLBACK))


def _plan(
    reference: Sequence[Outcome],
    judgments: Judgments,
    metric: str,
    n: int | None,
    slo_ms: float | None,
    *,
    share: float,
    inflation: float,
    by: Cluster,
) -> Plan:
    chance = lowest_chance(reference)
    reference = thin(reference, chance)
    values = metric_values(reference, metric, judgments)
    known = np.array([value for value in values if not math.isnan(value)])
    pairs = zip(clusters_of(reference, by), values, strict=True)
    whose = [one for one, value in pairs if not math.isnan(value)]
    spread = _spread(known, whose) * math.sqrt(inflation)
    errors = error_rate(reference, by)

    def judged(requests: int) -> int:
        """How many judged requests come with so many that no cache answers; 0: unknown."""
        return math.ceil(requests * len(known) / errors.n) if errors.n else 0

    if n is None:
        size = _size(known, spread, metric, by)
        n = max(size, judged(_least_requests(errors, share)))
    least = judged(_least_requests(errors, share, faultless=True))
    requests = n if not len(known) else math.ceil(n * len(reference) / len(known))
    slow_ms = slo_ms or _slow_ms(reference)
    monitors, unwatched = {}, {}
    for name in MONITORS:
        found = _reference(list(monitored(reference, values, name, slow_ms)), share)
        if isinstance(found, Reference):
            monitors[name] = found
        else:
            unwatched[name] = found
    return Plan(
        metric=metric,
        planned_n=n,
        planned_requests=requests,
        detectable=None if math.isnan(spread) else DETECTABLE * spread / math.sqrt(n),
        level=level_for(requests, FALSE_ROLLBACK),
        slo_ms=slo_ms,
        slow_ms=slow_ms,
        monitors=monitors,
        unwatched=unwatched,
        keep_probability=chance,
        least_n=max(least, LEAST_CLUSTERS),
    )


def _spread(known: Floats, whose: Sequence[Hashable]) -> float:
    """The standard deviation of a value that the mean by clusters shows: its error times √n, but
    never below that of single values, since clusters that balance by chance promise nothing. NaN
    where all belong to one, or all are alike: that shows no spread, not that there is none."""
    if len(np.unique(known)) < 2:
        return math.nan
    found = clustered_mean(known, whose)
    return max(found.error * math.sqrt(len(known)), float(known.std(ddof=1)))


def _size(known: Floats, spread: float, metric: str, by: Cluster) -> int:
    """As many as show the loss that the gate tolerates."""
    loss = (1 - TOLERATED) * float(known.mean()) if len(known) else 0.0
    if len(known) < LEAST_REFERENCE or loss == 0:
        raise InputError(
            f"nothing can be planned: {len(known)} of production's latest requests have a value of"
            f" {metric}, and {LEAST_REFERENCE} with a mean above 0 are needed",
            remedy="give --planned-n, name another --metric, or import gold answers to what users "
            "ask (ragdiag import gold) and log the question_id",
        )
    if math.isnan(spread) and len(np.unique(known)) > 1:
        raise InputError(
            f"nothing can be planned: all {len(known)} of production's latest requests that have a "
            f"value of {metric} are of one {'user' if by == 'owner' else by}",
            remedy="give --planned-n",
        )
    if math.isnan(spread):
        raise InputError(
            f"nothing can be planned: all {len(known)} of production's latest requests that have a "
            f"value of {metric} have the same: no spread",
            remedy="give --planned-n, or name another --metric",
        )
    return max(planned_n(spread, loss), LEAST_REFERENCE)


def _least_requests(found: FailureShare, share: float, *, faultless: bool = False) -> int:
    """How many requests of the candidate, none from a cache, the gate takes to let it pass by
    errors and by p95, where both versions fail as often as production was ``found`` to, and as much
    together; or, ``faultless``, where only production does, and every request is of another user:
    fewer never do. From 200 on within one in a hundred.

    >>> alone, rare = FailureShare(0, 1, 1, 1.0), FailureShare(1, 100, 100, 1.0)
    >>> _least_requests(alone, 0.05), _least_requests(rare, 1.0)
    (189, 351)
    >>> _least_requests(rare, 1.0, faultless=True)
    143
    >>> _least_requests(FailureShare(8, 100, 100, 1.0), 0.3, faultless=True)
    73
    >>> _least_requests(FailureShare(1, 100, 50, 2.0), 1.0)
    656
    """
    rate = found.failures / found.n if found.n else 0.0
    effect = 1.0 if faultless else found.effect
    if math.isnan(effect):  # as the gate takes it
        effect = found.n / found.clusters
    n = max(LEAST_FOR_P95, LEAST_CLUSTERS)
    while True:
        others = n if share == 1 else math.ceil(n * (1 - share) / share)
        # The candidate's errors are rounded up, so that luck is not planned for.
        failed = 0 if faultless else math.ceil(rate * n)
        change = change_of_counts(round(rate * others), others, failed, n, effect)
        if gate_errors(change).decision == "pass":
            return n
        n += max(1, n // 100)


def _slow_ms(reference: Sequence[Outcome]) -> float | None:
    """A tenth over production's p95; None where too few requests were timed."""
    times = [one.total_ms for one in reference if not math.isnan(one.total_ms)]
    if len(times) < max(LEAST_REFERENCE, needed_for_interval(0.95)):
        return None
    return HIGHEST_RATIO * quantile_estimate(times, 0.95).value


def _reference(known: Sequence[tuple[Outcome, bool]], share: float) -> Reference | str:
    """The rate to watch against for a ``share`` of the users, or why there is none."""
    bad, owners = [is_bad for _, is_bad in known], [outcome.owner for outcome, _ in known]
    if len(bad) < LEAST_REFERENCE:
        return f"known of {len(bad)} of production's requests, and {LEAST_REFERENCE} are needed"
    p0 = reference_bound(bad, owners)
    if p0 >= HIGHEST_REFERENCE:
        return f"production's own rate may be {p0:.0%} already"
    few = len(set(owners)) * share < FEWEST_USERS
    return Reference(p0, sum(bad), len(bad), 0.0 if few else correlation_bound(bad, owners))
