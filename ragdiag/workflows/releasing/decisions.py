"""Looking at a candidate and acting on it: by hand, by the gate, or by an alarm.

While a canary runs, and for a while after a version became production, rates are watched by
detectors that may be read at any time; the gate is applied once, when the planned number of judged
requests is there (METHODS.md §11).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ragdiag.deploy import release
from ragdiag.deploy.candidates import look_at_canary, look_at_release, look_at_shadow
from ragdiag.deploy.looks import Look
from ragdiag.deploy.plan import REFERENCE_REQUESTS, plan_release_watch
from ragdiag.deploy.release import Side
from ragdiag.records import DeploymentEvent, DeploymentKind
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_judgments
from ragdiag.store.deployments import append_deployment, current_deployment, load_deployments
from ragdiag.store.lake import Lake
from ragdiag.store.outcomes import load_outcomes
from ragdiag.workflows.grading.running import grade_new_answers
from ragdiag.workflows.logs.ingest import load_waiting

WATCHED: tuple[Side, ...] = ("production", "canary")


@dataclass(frozen=True, slots=True)
class Decided:
    """A look at a candidate, and the event that came of it; None where nothing was changed."""

    look: Look
    event: DeploymentEvent | None

    def to_json(self) -> dict[str, Any]:
        event = None if self.event is None else self.event.number
        return {**self.look.to_json(), "applied": event is not None, "event": event}


def look(lake: Lake, workspace: Workspace) -> tuple[Look, int]:
    """What is to be said of the candidate now (the canary, else the shadow), and the number of the
    last event that it rests on.

    Loads what waits in the spool and grades what can be graded first. Raises InputError where no
    candidate runs.
    """
    load_waiting(lake, workspace)
    events = load_deployments(lake)
    state = release.existing(events[-1].deployment if events else None)
    side = release.candidate(state)
    started = release.started_by(events, side)
    assert started is not None, "a candidate that runs was started"
    for version_id in (str(getattr(state, side)), state.production):
        grade_new_answers(lake, version_id, started.happened_at)
    look_at = look_at_canary if side == "canary" else look_at_shadow
    return look_at(lake, started, load_judgments(lake)), events[-1].number


def decide(lake: Lake, workspace: Workspace, *, apply: bool, actor: str) -> Decided:
    """Look at the candidate and, with ``apply``, do what comes of it; a hold is kept as well."""
    seen, number = look(lake, workspace)
    if not apply:
        return Decided(seen, None)
    return Decided(seen, act(lake, seen, seen.action, number, actor=actor))


def promote(lake: Lake, workspace: Workspace, *, actor: str) -> Decided:
    """Make the candidate production, whatever the numbers say; they are kept with the event."""
    seen, number = look(lake, workspace)
    return Decided(seen, act(lake, seen, "promote", number, actor=actor, by_hand=True))


def watch_once(lake: Lake, workspace: Workspace, *, actor: str) -> list[Decided]:
    """Look at what is watched (production after a promotion, then a canary) and roll back what has
    an alarm, with the look as evidence. Nothing is ever promoted here.

    Empty where nothing is watched. Raises InputError before the first deployment.
    """
    release.existing(current_deployment(lake))
    load_waiting(lake, workspace)
    found = []
    for side in WATCHED:
        events = load_deployments(lake)
        started = release.started_by(events, side)
        if started is None:
            continue
        watched = str(getattr(started.deployment, side))
        grade_new_answers(lake, watched, started.happened_at)
        judgments = load_judgments(lake)
        if side == "production":
            seen = look_at_release(lake, started, judgments)
        else:
            seen = look_at_canary(lake, started, judgments, rates_only=True)
        number = events[-1].number
        event = act(lake, seen, "rollback", number, actor=actor) if seen.alarms else None
        found.append(Decided(seen, event))
    return found


def act(
    lake: Lake,
    seen: Look,
    action: DeploymentKind,
    number: int,
    *,
    actor: str,
    by_hand: bool = False,
) -> DeploymentEvent:
    """Write down what a look led to. Raises InputError where the deployment is no longer the one
    that was looked at (``number``)."""
    evidence: dict[str, Any] = {"look": seen.to_json(), "snapshot": lake.snapshot()}
    if by_hand:
        evidence["by_hand"] = True
    if action == "promote":
        reference = load_outcomes(lake, seen.old, ["production"], last=REFERENCE_REQUESTS)
        watch = plan_release_watch(seen.plan, reference, load_judgments(lake))
        evidence["release_plan"] = watch.to_json()
    changes: Mapping[str, Any] = {
        "promote": release.promote,
        "rollback": partial(release.roll_back, side=seen.side),
        "hold": release.existing,
    }
    return append_deployment(
        lake, action, changes[action], actor=actor, evidence=evidence, after=number
    )
