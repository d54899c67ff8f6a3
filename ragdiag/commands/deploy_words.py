"""What is deployed, what a look showed and what happened, for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ragdiag.console import show_estimate, table
from ragdiag.deploy.looks import Look, WatchedRate
from ragdiag.deploy.plan import FALSE_ROLLBACK, Plan
from ragdiag.records import Deployment, DeploymentEvent
from ragdiag.workflows.comparing.gate_words import criteria_text

Names = Mapping[str, str]
"""Version id → name."""


def deployment_text(deployment: Deployment | None, names: Names) -> str:
    if deployment is None:
        return "nothing is deployed; run: ragdiag deploy set VERSION"
    parts = [f"production {named(deployment.production, names)}"]
    if deployment.canary is not None:
        share = f"{100 * deployment.share:g} % of keys"
        parts.append(f"canary {named(deployment.canary, names)} ({share})")
    if deployment.shadow is not None:
        parts.append(f"shadow {named(deployment.shadow, names)}")
    if deployment.previous is not None:
        parts.append(f"before it {named(deployment.previous, names)}")
    return ", ".join(parts)


def events_text(events: Sequence[DeploymentEvent], names: Names) -> str:
    """One line an event, the newest last."""
    return table(
        [
            {
                "event": event.number,
                "UTC": f"{event.happened_at:%Y-%m-%d %H:%M:%S}",
                "kind": event.kind,
                "by": event.actor,
                "since then": deployment_text(event.deployment, names),
            }
            for event in events
        ]
    )


def plan_text(plan: Plan) -> str:
    """What was fixed at the start, in a few lines."""
    shows = "" if plan.detectable is None else f", enough to show {plan.detectable:.4f} with 80 %"
    lines = [
        f"planned: {plan.planned_n:,} requests judged by {plan.metric}{shows}, "
        f"of about {plan.planned_requests:,}"
    ]
    if plan.planned_n < plan.least_n:
        lines.append(
            f"too few to pass the gate: that takes {plan.least_n} judged requests, "
            "while production goes on as it did"
        )
    if plan.keep_probability < 1:
        lines.append(f"sampled: {plan.keep_probability:.3g} of all requests count, by chance alone")
    lines += [
        f"watched: {name}, {one.p0:.2%} at the most by {one.bad:,} of {one.n:,} requests"
        f"{_alike(one.rho)}"
        for name, one in plan.monitors.items()
    ]
    lines += [f"not watched: {name}, {why}" for name, why in plan.unwatched.items()]
    return "\n".join(lines)


def look_text(look: Look, names: Names) -> str:
    """The action, what is watched, the gate where it is due, and both versions' numbers."""
    old, new = named(look.old, names), named(look.new, names)
    head = (
        f"{look.action}: {look.side} {new} against {old} since {look.since:%Y-%m-%d %H:%M} UTC, "
        f"{look.n:,} requests; {look.reason}"
    )
    return "\n".join([head, *_watch_lines(look), *criteria_text(look.criteria), *_arm_lines(look)])


def named(version_id: str, names: Names) -> str:
    return names.get(version_id, version_id)


def _watch_lines(look: Look) -> Iterator[str]:
    for name, rate in look.rates.items():
        yield _rate_line(name, rate)
    if look.rates:
        yield (
            f"a version as good as the old one is rolled back once in {look.plan.level:,.0f} "
            f"requests on average at the most, by now with chance {look.false_alarm_chance:.1%} "
            f"at the most (planned: {FALSE_ROLLBACK:.0%})"
        )
    for name, why in look.plan.unwatched.items():
        yield f"{name:9} not watched: {why}"
    if look.left_out:
        yield (
            f"a sampled log: {look.left_out:,} logged requests are left out, so that all count by "
            "one chance and shares are those of all requests"
        )


def _alike(rho: float) -> str:
    """How far one user's requests may go together; nothing of a plan that took no heed of it."""
    return f", one user's correlated by {rho:.2g} at the most" if rho else ""


def _rate_line(name: str, rate: WatchedRate) -> str:
    watched = rate.watched
    changed = "" if rate.changed_at is None else f", risen since {rate.changed_at:%Y-%m-%d %H:%M}"
    return (
        f"{name:9} {watched.failures:,} of {watched.n:,}, expected {watched.p0:.2%} at the most"
        f"{_alike(watched.rho)}; "
        f"statistic {watched.peak:,.1f}, alarm at {watched.level:,.0f}{changed}"
    )


def _arm_lines(look: Look) -> Iterator[str]:
    rows = [
        {
            "measure": name,
            **{
                arm: show_estimate(found[name], 1 if name == "p95_ms" else 4)
                for arm, found in look.arms.items()
            },
        }
        for name in next(iter(look.arms.values()), {})
    ]
    yield table(rows)
