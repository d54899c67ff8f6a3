"""Starting and ending canaries and shadows; each change is an event with its grounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ragdiag.deploy import release
from ragdiag.deploy.arms import DEFAULT_METRIC, check_production_metric
from ragdiag.deploy.plan import REFERENCE_REQUESTS, Plan, plan_canary, plan_shadow
from ragdiag.deploy.release import Side
from ragdiag.errors import InputError
from ragdiag.progress import Progress
from ragdiag.records import Deployment, DeploymentEvent
from ragdiag.retrieval.serving import require_serving
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_judgments
from ragdiag.store.deployments import append_deployment, load_deployments
from ragdiag.store.lake import Lake
from ragdiag.store.outcomes import Outcome, load_outcomes
from ragdiag.store.results import find_served_version
from ragdiag.version import LoggedVersion, Version
from ragdiag.workflows.grading.running import grade_new_answers
from ragdiag.workflows.logs.ingest import load_waiting
from ragdiag.workflows.releasing.shadow import Replayed, replay_questions
from ragdiag.workflows.tuning.state import gate_not_passed


@dataclass(frozen=True, slots=True)
class Terms:
    """What a comparison in running traffic is about; without ``planned_n`` it is planned from
    production's latest requests."""

    metric: str = DEFAULT_METRIC
    planned_n: int | None = None
    slo_ms: float | None = None


def set_production(lake: Lake, name: str, *, actor: str) -> DeploymentEvent:
    """Name the version that serves. Raises InputError where there is one."""
    version = deployable_version(lake, name)
    change = partial(release.set_production, version_id=version.version_id)
    return append_deployment(lake, "set", change, actor=actor, evidence={})


def start_canary(
    lake: Lake,
    workspace: Workspace,
    name: str,
    share: float,
    terms: Terms,
    *,
    actor: str,
    force: bool = False,
) -> DeploymentEvent:
    """Let a version answer a share of production's keys from now on, by a plan that is fixed now.

    Raises UnknownName, and InputError where it cannot run or cannot be planned, or was tuned and
    its own run did not pass it; with ``force`` the event only says so.
    """
    version = deployable_version(lake, name)
    doubt = gate_not_passed(lake, version) if isinstance(version, Version) else None
    if doubt is not None and not force:
        raise InputError(
            f"version {version.name} was tuned, and {doubt}",
            remedy=f"try it unseen (ragdiag deploy shadow {version.name}), or use --force",
        )
    change = partial(release.start_canary, version_id=version.version_id, share=share)
    production_id, number = _checked(lake, change)
    plan = plan_canary(
        _reference(lake, workspace, production_id, terms),
        load_judgments(lake),
        metric=terms.metric,
        share=share,
        n=terms.planned_n,
        slo_ms=terms.slo_ms,
    )
    evidence = {"plan": plan.to_json(), **({} if doubt is None else {"forced": doubt})}
    return append_deployment(lake, "canary", change, actor=actor, evidence=evidence, after=number)


def start_shadow(
    lake: Lake, workspace: Workspace, name: str, terms: Terms, *, actor: str
) -> DeploymentEvent:
    """Let a version answer unseen what production is asked from now on; as :func:`start_canary`.

    Where it does already, the event that began it; InputError where that was on other terms.
    """
    version = deployable_version(lake, name)
    running = release.started_by(load_deployments(lake), "shadow")
    if running is not None and running.deployment.shadow == version.version_id:
        _check_terms(Plan.from_json(running.evidence["plan"]), terms)
        return running
    change = partial(release.start_shadow, version_id=version.version_id)
    production_id, number = _checked(lake, change)
    plan = plan_shadow(
        _reference(lake, workspace, production_id, terms),
        load_judgments(lake),
        metric=terms.metric,
        n=terms.planned_n,
        slo_ms=terms.slo_ms,
    )
    evidence = {"plan": plan.to_json()}
    return append_deployment(lake, "shadow", change, actor=actor, evidence=evidence, after=number)


def replay_into_shadow(
    lake: Lake, workspace: Workspace, n: int, progress: Progress | None = None
) -> Replayed:
    """Ask the shadow the last ``n`` questions that production answered; each is asked once in all
    of its run.

    Raises InputError where no shadow runs, or one that only another service can ask.
    """
    events = load_deployments(lake)
    release.existing(events[-1].deployment if events else None)
    started = release.started_by(events, "shadow")
    if started is None:
        raise InputError("no shadow is running", remedy="start one: ragdiag deploy shadow VERSION")
    version = find_served_version(lake, str(started.deployment.shadow))
    if isinstance(version, LoggedVersion):
        raise InputError(
            f"the version {version.name} is only known from logs, so it cannot be asked here",
            remedy="let its own service log the shadow's answers, without --replay",
        )
    return replay_questions(lake, workspace, started, version, n, progress)


def roll_back(lake: Lake, side: Side | None, *, actor: str, reason: str = "") -> DeploymentEvent:
    """End the candidate that runs (or ``side``). Nothing is looked at first: it must work at once.

    Production goes back to the version before only where ``side`` says so: whoever ends a candidate
    a moment after somebody else has must not take production back. Raises InputError where there is
    nothing to end or to go back to.
    """

    def change(deployment: Deployment | None) -> Deployment:
        state = release.existing(deployment)
        if side is None and state.canary is None and state.shadow is None:
            raise InputError(
                "neither a canary nor a shadow is running",
                remedy="production goes back by its name: ragdiag deploy rollback production",
            )
        return release.roll_back(state, side or release.candidate(state))

    evidence = {"by_hand": True, "reason": reason}
    return append_deployment(lake, "rollback", change, actor=actor, evidence=evidence)


def deployable_version(lake: Lake, name: str) -> Version | LoggedVersion:
    """A version that can serve: one with a published index build, or one that another service
    runs. Raises UnknownName, IndexFault.
    """
    version = find_served_version(lake, name)
    if isinstance(version, Version):
        require_serving(lake, lake.workspace, version)
    return version


def _check_terms(plan: Plan, terms: Terms) -> None:
    wanted = (terms.metric, terms.planned_n or plan.planned_n, terms.slo_ms or plan.slo_ms)
    if wanted != (plan.metric, plan.planned_n, plan.slo_ms):
        raise InputError(
            f"this shadow runs on other terms ({plan.metric}, {plan.planned_n} requests)",
            remedy="end it first: ragdiag deploy rollback shadow",
        )


def _checked(lake: Lake, change: Callable[[Deployment | None], Deployment]) -> tuple[str, int]:
    """Production, and the number of the last event, where ``change`` is possible: it fails here,
    before anything is computed."""
    events = load_deployments(lake)
    changed = change(events[-1].deployment if events else None)
    return changed.production, len(events)


def _reference(lake: Lake, workspace: Workspace, production_id: str, terms: Terms) -> list[Outcome]:
    """Production's latest requests, loaded and graded as far as they can be."""
    check_production_metric(terms.metric)
    load_waiting(lake, workspace)
    latest = partial(load_outcomes, lake, production_id, ["production"], last=REFERENCE_REQUESTS)
    found = latest()
    if found and grade_new_answers(lake, production_id, found[0].asked_at):
        return latest()
    return found
