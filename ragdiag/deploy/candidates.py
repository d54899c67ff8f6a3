"""Looking at what runs: a canary, a shadow, and a version that has just become production."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragdiag.deploy.arms import Judgments, clusters_of, error_rate, metric_values
from ragdiag.deploy.looks import Look, planned_end, sum_up, watch_rates
from ragdiag.deploy.plan import RELEASE_WATCH, Plan
from ragdiag.deploy.thinning import thin
from ragdiag.identifiers import shadowed_id
from ragdiag.records import DeploymentEvent, Traffic
from ragdiag.stats.contrasts import independent_means, paired_means
from ragdiag.stats.criteria import Criterion
from ragdiag.stats.failure_shares import change_of_rates
from ragdiag.stats.gates import gate_errors, gate_quality
from ragdiag.stats.quantile_ratios import independent_quantiles, paired_quantiles
from ragdiag.stats.ratio_gates import gate_cost, gate_latency
from ragdiag.store.lake import Lake
from ragdiag.store.outcomes import Outcome, load_outcomes

CANARY_TRAFFIC: tuple[Traffic, ...] = ("canary", "production")
"""A service that routes by itself may log its canary as production."""


def look_at_canary(
    lake: Lake, started: DeploymentEvent, judgments: Judgments, *, rates_only: bool = False
) -> Look:
    """The canary that ``started`` began, against production's requests of the same time; with
    ``rates_only`` production's are not read, and the gate is not applied."""
    plan = Plan.from_json(started.evidence["plan"])
    state, since = started.deployment, started.happened_at
    old_id, new_id = state.production, str(state.canary)
    logged = load_outcomes(lake, new_id, CANARY_TRAFFIC, since=since)
    new = thin(logged, plan.keep_probability)
    arm = _Arm.of(new, plan.metric, judgments)
    known = [not math.isnan(value) for value in arm.values]
    found = Look(
        side="canary",
        old=old_id,
        new=new_id,
        since=since,
        plan=plan,
        n=len(new),
        judged=sum(known),
        rates=watch_rates(new, arm.values, plan),
        left_out=len(logged) - len(new),
    )
    if rates_only:
        return found
    logged_old = load_outcomes(lake, old_id, ["production"], since=since)
    old = thin(logged_old, plan.keep_probability)
    criteria = {}
    if (end := planned_end(known, plan.planned_n)) is not None:
        until = new[end - 1].asked_at
        meanwhile = [one for one in old if one.asked_at <= until]
        first = _Arm.of(meanwhile, plan.metric, judgments)
        criteria = _judge_apart(first, arm.cut(end), plan)
    return replace(
        found,
        criteria=criteria,
        arms={
            "old": sum_up(old, plan.metric, judgments),
            "new": sum_up(new, plan.metric, judgments),
        },
        left_out=found.left_out + len(logged_old) - len(old),
    )


def look_at_shadow(lake: Lake, started: DeploymentEvent, judgments: Judgments) -> Look:
    """The shadow that ``started`` began, paired with the requests of production that it follows.

    Nobody sees its answers, so nothing is watched: the gate at the planned number decides. Nor does
    anybody wait in line for them, so of both versions only the time of processing is compared.
    """
    plan = Plan.from_json(started.evidence["plan"])
    state, since = started.deployment, started.happened_at
    old_id, new_id = state.production, str(state.shadow)
    logged = {
        shadowed: replace(one, total_ms=one.processing_ms)
        for one in load_outcomes(lake, new_id, ["shadow"], since=since)
        if (shadowed := shadowed_id(one.request_id, new_id)) is not None
    }
    logged_old = load_outcomes(lake, old_id, ["production"], request_ids=list(logged))
    followed = {
        one.request_id: replace(one, total_ms=one.processing_ms)
        for one in thin(logged_old, plan.keep_probability)
    }
    # A replay logs every answer, a service may sample them: by a rate of their own.
    stay = {one.request_id for one in thin(list(logged.values()), 1.0)}
    kept = [
        (followed[shadowed], one)
        for shadowed, one in logged.items()
        if shadowed in followed and one.request_id in stay
    ]
    old, new = [one for one, _ in kept], [one for _, one in kept]
    first, second = (_Arm.of(side, plan.metric, judgments) for side in (old, new))
    pairs = zip(first.values, second.values, strict=True)
    known = [not (math.isnan(x) or math.isnan(y)) for x, y in pairs]
    end = planned_end(known, plan.planned_n)
    return Look(
        side="shadow",
        old=old_id,
        new=new_id,
        since=since,
        plan=plan,
        n=len(new),
        judged=sum(known),
        criteria={} if end is None else _judge_pairs(first.cut(end), second.cut(end), plan),
        arms={
            "old": sum_up(old, plan.metric, judgments),
            "new": sum_up(new, plan.metric, judgments),
        },
        left_out=len(logged_old) - len(new),
    )


def look_at_release(lake: Lake, promoted: DeploymentEvent, judgments: Judgments) -> Look:
    """The first RELEASE_WATCH requests of a version since it became production, watched against
    what served before it."""
    plan = Plan.from_json(promoted.evidence["release_plan"])
    state, since = promoted.deployment, promoted.happened_at
    logged = load_outcomes(lake, state.production, ["production"], since=since, first=RELEASE_WATCH)
    new = thin(logged, plan.keep_probability)
    values = metric_values(new, plan.metric, judgments)
    return Look(
        side="production",
        old=str(state.previous),
        new=state.production,
        since=since,
        plan=plan,
        n=len(new),
        judged=sum(not math.isnan(value) for value in values),
        rates=watch_rates(new, values, plan),
        arms={"new": sum_up(new, plan.metric, judgments)},
        left_out=len(logged) - len(new),
    )


@dataclass(frozen=True, slots=True)
class _Arm:
    """One version's requests as columns, all in one order."""

    outcomes: Sequence[Outcome]
    values: Sequence[float]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], metric: str, judgments: Judgments) -> _Arm:
        return cls(outcomes, metric_values(outcomes, metric, judgments))

    def cut(self, end: int) -> _Arm:
        return _Arm(self.outcomes[:end], self.values[:end])

    @property
    def owners(self) -> list[str]:
        return clusters_of(self.outcomes, "owner")

    @property
    def times(self) -> list[float]:
        return [one.total_ms for one in self.outcomes]

    @property
    def costs(self) -> list[float]:
        return [one.cost_usd for one in self.outcomes]


def _judge_apart(old: _Arm, new: _Arm, plan: Plan) -> dict[str, Criterion]:
    """Different users' requests; those of one user belong together."""
    users = old.owners, new.owners
    quantiles = independent_quantiles(
        old.times, new.times, 0.95, clusters_a=users[0], clusters_b=users[1]
    )
    return {
        "quality": gate_quality(independent_means(old.values, new.values, *users), plan.metric),
        "latency": gate_latency(quantiles, plan.slo_ms),
        "cost": gate_cost(independent_means(old.costs, new.costs, *users)),
        "errors": gate_errors(
            change_of_rates(*(error_rate(arm.outcomes, "owner") for arm in (old, new)))
        ),
    }


def _judge_pairs(old: _Arm, new: _Arm, plan: Plan) -> dict[str, Criterion]:
    """The same requests; those that ask one question belong together."""
    questions = clusters_of(old.outcomes, "question")
    quantiles = paired_quantiles(old.times, new.times, 0.95, clusters=questions)
    pairs = zip(old.outcomes, new.outcomes, strict=True)
    anew = [pair for pair in pairs if not any(one.cache_hit for one in pair)]
    # As if a pair's two failed apart: those that fail together make the interval no wider.
    errors = [error_rate([pair[side] for pair in anew], "question") for side in (0, 1)]
    return {
        "quality": gate_quality(paired_means(old.values, new.values, questions), plan.metric),
        "latency": gate_latency(quantiles, plan.slo_ms),
        "cost": gate_cost(paired_means(old.costs, new.costs, questions)),
        "errors": gate_errors(change_of_rates(*errors)),
    }
