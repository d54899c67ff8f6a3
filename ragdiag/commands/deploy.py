"""``ragdiag deploy``: which version serves, and trying another one beside it; docs/deploy.md."""

from __future__ import annotations

import getpass
import os
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.exceptions import Exit

from ragdiag.commands.options import DAY_MS, Json, lake_of
from ragdiag.console import emit, progress_to
from ragdiag.errors import InputError
from ragdiag.settings import command_workspace

if TYPE_CHECKING:
    from ragdiag.records import DeploymentEvent
    from ragdiag.store.lake import Lake
    from ragdiag.workflows.releasing.decisions import Decided
    from ragdiag.workflows.releasing.deployment import Terms

EXIT_STATUS = {"promote": 0, "rollback": 1, "hold": 3}
"""As those of ``ragdiag gate``."""
SHOWN_EVENTS = 10

Actor = Annotated[str | None, typer.Option(help="Who is written down; default: the user.")]
Metric = Annotated[str, typer.Option(help="Of quality: correct, MRR@10, nDCG@10 …")]
PlannedN = Annotated[
    int | None, typer.Option(min=30, help="Judged requests until the gate; default: planned.")
]
SloMs = Annotated[
    float | None, typer.Option(min=0.001, max=DAY_MS, help="p95 must be within it, too.")
]


def _actor(given: str | None) -> str:
    try:
        return given or getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return f"uid {os.getuid()}"


def set_command(
    context: typer.Context, version: str, actor: Actor = None, as_json: Json = False
) -> None:
    """Name the first version that serves production."""
    from ragdiag.workflows.releasing.deployment import set_production

    lake = lake_of(context)
    _emit_event(lake, set_production(lake, version, actor=_actor(actor)), as_json)


def canary(
    context: typer.Context,
    version: str,
    share: Annotated[str, typer.Option(help="Of users or requests, as 5% or 0.05.")] = "5%",
    metric: Metric = "correct",
    planned_n: PlannedN = None,
    slo_ms: SloMs = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also a tuned version that its own gate did not pass.")
    ] = False,
    actor: Actor = None,
    as_json: Json = False,
) -> None:
    """Let a version answer a share of production from now on, by a plan that is fixed now."""
    from ragdiag.workflows.releasing.deployment import start_canary

    lake = lake_of(context)
    event = start_canary(
        lake,
        command_workspace(context.obj),
        version,
        read_share(share),
        _terms(metric, planned_n, slo_ms),
        actor=_actor(actor),
        force=force,
    )
    _emit_event(lake, event, as_json)


def shadow(
    context: typer.Context,
    version: str,
    replay: Annotated[
        int, typer.Option(min=0, help="Also ask it production's last N questions now.")
    ] = 0,
    metric: Metric = "correct",
    planned_n: PlannedN = None,
    slo_ms: SloMs = None,
    actor: Actor = None,
    as_json: Json = False,
) -> None:
    """Let a version answer unseen what production is asked; once more, to replay more."""
    from ragdiag.workflows.releasing.deployment import replay_into_shadow, start_shadow

    lake, workspace = lake_of(context), command_workspace(context.obj)
    terms = _terms(metric, planned_n, slo_ms)
    event = start_shadow(lake, workspace, version, terms, actor=_actor(actor))
    replayed = None
    if replay:
        with progress_to(None) as progress:
            replayed = replay_into_shadow(lake, workspace, replay, progress)
    if replayed is None:
        _emit_event(lake, event, as_json)
        return
    said = (
        f"\n{replayed.asked} questions asked, {replayed.known} were asked before, "
        f"{replayed.hidden} are not stored"
    )
    _emit_event(lake, event, as_json, {"replayed": asdict(replayed)}, said)


def status(context: typer.Context, as_json: Json = False) -> None:
    """Which version serves, what runs beside it, and the latest events."""
    from ragdiag.commands.deploy_words import deployment_text, events_text
    from ragdiag.store.deployments import load_deployments
    from ragdiag.store.queries import version_names

    lake = lake_of(context)
    events, names = load_deployments(lake), version_names(lake)
    state = events[-1].deployment if events else None
    document = {
        "deployment": None if state is None else _with_names(asdict(state), names),
        "events": [_event_json(event) for event in events],
    }
    lines = [deployment_text(state, names), "", events_text(events[-SHOWN_EVENTS:], names)]
    emit(document, as_json, lambda: "\n".join(lines).rstrip())


def decide(
    context: typer.Context,
    apply: Annotated[bool, typer.Option("--apply", help="Do it, and write it down.")] = False,
    actor: Actor = None,
    as_json: Json = False,
) -> None:
    """Promote, hold or roll back the canary, else the shadow? Exit status 0, 3 or 1."""
    from ragdiag.workflows.releasing.decisions import decide as decide_now

    lake = lake_of(context)
    found = decide_now(lake, command_workspace(context.obj), apply=apply, actor=_actor(actor))
    _emit_decided(lake, found, as_json)
    if code := EXIT_STATUS[found.look.action]:
        raise Exit(code)


def promote(context: typer.Context, actor: Actor = None, as_json: Json = False) -> None:
    """Make the canary (else the shadow) production, whatever the numbers say."""
    from ragdiag.workflows.releasing.decisions import promote as promote_now

    lake, workspace = lake_of(context), command_workspace(context.obj)
    _emit_decided(lake, promote_now(lake, workspace, actor=_actor(actor)), as_json)


def rollback(
    context: typer.Context,
    side: Annotated[
        Literal["canary", "shadow", "production"] | None,
        typer.Argument(help="Default: the canary, else the shadow; never production."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Kept with the event.")] = "",
    actor: Actor = None,
    as_json: Json = False,
) -> None:
    """End what runs beside production, or give production back to the version before."""
    from ragdiag.workflows.releasing.deployment import roll_back

    lake = lake_of(context)
    _emit_event(lake, roll_back(lake, side, actor=_actor(actor), reason=reason), as_json)


def read_share(text: str) -> float:
    """``5%`` or ``0.05`` as a number. Raises InputError.

    >>> read_share("5%"), read_share("0.2")
    (0.05, 0.2)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(%?)\s*", text)
    if found is None:
        raise InputError(f"{text!r} is no share", remedy="write it as 5% or 0.05")
    return float(found[1]) / (100 if found[2] else 1)


def _terms(metric: str, planned_n: int | None, slo_ms: float | None) -> Terms:
    from ragdiag.workflows.releasing.deployment import Terms

    return Terms(metric, planned_n, slo_ms)


def _emit_event(
    lake: Lake,
    event: DeploymentEvent,
    as_json: bool,
    more: dict[str, Any] | None = None,
    said: str = "",
) -> None:
    from ragdiag.commands.deploy_words import deployment_text, plan_text
    from ragdiag.deploy.plan import Plan
    from ragdiag.store.queries import version_names

    names = version_names(lake)
    text = deployment_text(event.deployment, names)
    if "plan" in event.evidence:
        text += "\n" + plan_text(Plan.from_json(event.evidence["plan"]))
    emit({**_event_json(event), **(more or {})}, as_json, lambda: text + said)


def _emit_decided(lake: Lake, found: Decided, as_json: bool) -> None:
    from ragdiag.commands.deploy_words import deployment_text, look_text
    from ragdiag.store.queries import version_names

    names = version_names(lake)
    lines = [look_text(found.look, names)]
    if found.event is not None:
        lines.append(f"now: {deployment_text(found.event.deployment, names)}")
    emit(found.to_json(), as_json, lambda: "\n".join(lines))


def _event_json(event: DeploymentEvent) -> dict[str, Any]:
    return {
        "event": event.number,
        "happened_at": event.happened_at.isoformat(),
        "kind": event.kind,
        "deployment": asdict(event.deployment),
        "actor": event.actor,
        "evidence": event.evidence,
    }


def _with_names(state: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    sides = ("production", "canary", "shadow", "previous")
    return {**state, "names": {side: names.get(state[side], state[side]) for side in sides}}
