"""One look at a candidate: what was seen, and whether to promote it, hold it or roll it back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from ragdiag.deploy.arms import Judgments, answered_anew, metric_values, monitored
from ragdiag.deploy.plan import Plan
from ragdiag.deploy.release import Side
from ragdiag.metrics.latency import quantile_estimate
from ragdiag.records import Estimate
from ragdiag.stats.cluster_bootstrap import bounded_cluster_mean
from ragdiag.stats.clustered_rates import clustered_rate
from ragdiag.stats.contrasts import clustered_mean
from ragdiag.stats.criteria import Criterion, combine, needed_for_all
from ragdiag.stats.sequential import Watched, watch_rate
from ragdiag.store.outcomes import Outcome

Action = Literal["promote", "hold", "rollback"]

OPTIONAL = ("cost",)
"""What need not be judged for a candidate to be promoted."""
_MEASURES = {"errors": "errors", "latency": "p95_ms", "cost": "cost_usd"}
"""Criterion → the measure of an arm that counts what it judges: requests, few of them judged."""


@dataclass(frozen=True, slots=True)
class WatchedRate:
    """A rate since the candidate started; ``changed_at`` is when it most probably rose, None
    without an alarm."""

    watched: Watched
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Look:
    """``n`` requests (of a shadow: pairs) of the candidate ``new`` since ``since``, ``judged`` of
    them with a value of the plan's metric.

    ``rates`` are watched at every look; ``criteria`` are judged once, on the first requests that
    make up the planned number, and empty until then. ``arms`` sums up both versions by measure.
    All of this is of a plain sample (thinning.py): ``left_out`` logged requests are not in it.
    """

    side: Side
    old: str
    new: str
    since: datetime
    plan: Plan
    n: int
    judged: int
    rates: Mapping[str, WatchedRate] = field(default_factory=dict)
    criteria: Mapping[str, Criterion] = field(default_factory=dict)
    arms: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    left_out: int = 0

    @property
    def alarms(self) -> list[str]:
        return [name for name, rate in self.rates.items() if rate.watched.alarm]

    @property
    def action(self) -> Action:
        if self.alarms:
            return "rollback"
        if not self.criteria:
            return "hold"
        actions: Mapping[str, Action] = {"pass": "promote", "rollback": "rollback"}
        return actions.get(combine(self.criteria, optional=OPTIONAL), "hold")

    @property
    def reason(self) -> str:
        if self.alarms:
            return f"alarm: {', '.join(self.alarms)}"
        if self.criteria:
            decided = {"promote": "passes", "rollback": "is rolled back"}
            return f"the gate at {self.plan.planned_n:,} judged requests " + decided.get(
                self.action, f"decides neither way: {self._way_on}"
            )
        if self.side == "production":
            return "no alarm"
        if self.judged >= self.plan.planned_n:
            return "no alarm, and the gate is due (ragdiag deploy decide)"
        return f"{self.judged:,} of the {self.plan.planned_n:,} judged requests that were planned"

    @property
    def _way_on(self) -> str:
        """What to do about a hold of the gate, which is applied once."""
        needed = needed_for_all(self._in_judged(name, one) for name, one in self.criteria.items())
        more = max(needed or 0, self.plan.least_n, self.plan.planned_n + 1)
        how = "a larger --planned-n" if needed is None else f"--planned-n {more} or more"
        share = "" if self.plan.share is None else f" --share {100 * self.plan.share:g}%"
        start = f"ragdiag deploy {self.side} VERSION{share}"
        return (
            f"end it (ragdiag deploy rollback {self.side}) and start it anew ({start}) with {how}, "
            "or promote it by hand (ragdiag deploy promote)"
        )

    def _in_judged(self, name: str, criterion: Criterion) -> Criterion:
        """What it needs in judged requests, as a plan is counted: all but quality count others."""
        needed = criterion.needed_n
        if needed is None or name not in _MEASURES:
            return criterion
        found = self.arms.get("new", {}).get(_MEASURES[name])
        counted = found.n if found is not None and found.n else self.n
        return replace(criterion, needed_n=math.ceil(needed * self.judged / counted))

    @property
    def false_alarm_chance(self) -> float:
        """That a version as good as the old one would have been rolled back by now, at most."""
        return min(1.0, sum(one.watched.n / one.watched.level for one in self.rates.values()))

    def to_json(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "reason": self.reason,
            "side": self.side,
            "old": self.old,
            "new": self.new,
            "since": self.since.isoformat(),
            "n": self.n,
            "judged": self.judged,
            "left_out": self.left_out,
            "plan": self.plan.to_json(),
            "watch": {
                "mean_requests_between_false_alarms": self.plan.level,
                "false_alarm_chance_so_far": self.false_alarm_chance,
                "rates": {name: _rate_json(rate) for name, rate in self.rates.items()},
            },
            "gate": {name: one.to_json() for name, one in self.criteria.items()} or None,
            "arms": {
                arm: {name: estimate.to_json() for name, estimate in measures.items()}
                for arm, measures in self.arms.items()
            },
        }


def watch_rates(
    outcomes: Sequence[Outcome], values: Sequence[float], plan: Plan
) -> dict[str, WatchedRate]:
    """Every rate of the plan, in the order in which requests were asked.

    Each of m rates alarms at m times the plan's level: the average of their detectors reaches the
    level no later than one of them does m times that, so all of them together alarm falsely no
    more often than once in ``plan.level`` requests.
    """
    watched = {}
    for name, reference in plan.monitors.items():
        known = list(monitored(outcomes, values, name, plan.slow_ms))
        level = plan.level * len(plan.monitors)
        found = watch_rate(
            (is_bad for _, is_bad in known),
            reference.p0,
            level,
            owners=(outcome.owner for outcome, _ in known),
            rho=reference.rho,
        )
        moment = None if found.change is None else known[found.change][0].asked_at
        watched[name] = WatchedRate(found, moment)
    return watched


def planned_end(known: Sequence[bool], n: int) -> int | None:
    """How many requests from the start hold ``n`` known ones; None where there are not as many.

    >>> planned_end([True, False, True, True], 2), planned_end([True], 2)
    (3, None)
    """
    seen = 0
    for place, is_known in enumerate(known, start=1):
        seen += is_known
        if seen == n:
            return place
    return None


def sum_up(outcomes: Sequence[Outcome], metric: str, judgments: Judgments) -> dict[str, Estimate]:
    """A version by measure: quality by the metric, shares of errors and of thumbs up, each by
    users; p95 in milliseconds; mean cost in US dollars. Errors, p95 and cost are of what no cache
    answered."""
    owners = [one.owner for one in outcomes]
    anew = answered_anew(outcomes)
    rated = [(one.thumbs > 0, one.owner) for one in outcomes if one.thumbs is not None]
    return {
        # Each of PRODUCTION_METRICS lies within 0 … 1, and so do its bounds.
        metric: bounded_cluster_mean(metric_values(outcomes, metric, judgments), owners, 0, 1),
        "errors": clustered_rate(
            [one.status == "error" for one in anew], [one.owner for one in anew]
        ),
        "p95_ms": quantile_estimate([one.total_ms for one in outcomes], 0.95),
        "cost_usd": _mean_cost(outcomes),
        "thumbs_up": clustered_rate([up for up, _ in rated], [owner for _, owner in rated]),
    }


def _mean_cost(outcomes: Sequence[Outcome]) -> Estimate:
    known = [one for one in outcomes if not math.isnan(one.cost_usd)]
    if not known:
        return Estimate.undefined("no values")
    costs = [one.cost_usd for one in known]
    return clustered_mean(costs, [one.owner for one in known]).estimate(len(known))


def _rate_json(rate: WatchedRate) -> dict[str, Any]:
    watched = rate.watched
    return {
        "n": watched.n,
        "bad": watched.failures,
        "p0": watched.p0,
        "rho": watched.rho,
        "statistic": watched.peak,
        "level": watched.level,
        "alarm": watched.alarm,
        "changed_at": None if rate.changed_at is None else rate.changed_at.isoformat(),
    }
