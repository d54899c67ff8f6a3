"""``ragdiag tune``: fine-tuning runs and the questions they are checked on. docs/finetuning.md."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from typer.exceptions import Exit

from ragdiag.commands.gate import EXIT_STATUS
from ragdiag.commands.options import Json, lake_of
from ragdiag.console import emit, table
from ragdiag.errors import InputError, UnknownName
from ragdiag.settings import Workspace, command_workspace

if TYPE_CHECKING:
    from ragdiag.store.lake import Lake
    from ragdiag.workflows.tuning.state import KnownRun


def list_command(context: typer.Context, as_json: Json = False) -> None:
    """Every run, the newest first; what waits for a canary."""
    from ragdiag.commands.tune_words import run_row

    lake, workspace = lake_of(context), command_workspace(context.obj)
    runs = _known(lake, workspace)
    emit(
        [_document(run) for run in runs],
        as_json,
        lambda: table([run_row(run) for run in runs]) or "no runs; see: ragdiag tune --help",
    )


def show_command(context: typer.Context, run: str, as_json: Json = False) -> None:
    """One run: data, cost, curve, before and after, gate."""
    _tell(context, run, as_json)


def tell_run(context: typer.Context, run_id: str, as_json: bool) -> None:
    """What came of a run that just ended; exits with the status of its gate, or 0 where several
    processes trained: what launched them takes every other status for a crash."""
    from ragdiag.training.processes import Processes

    run = _tell(context, run_id, as_json)
    gate = None if run.facts is None else run.facts.gate
    if gate is None or Processes().count == 1:
        raise Exit(EXIT_STATUS[gate.decision] if gate else 0)
    print(
        f"gate {gate.decision}: of several processes the exit status does not say so; "
        f"see: ragdiag tune show {run.run_id} --json, facts.gate.decision",
        file=sys.stderr,
    )


def _tell(context: typer.Context, run: str, as_json: bool) -> KnownRun:
    from ragdiag.commands.tune_words import run_text
    from ragdiag.training.curves import read_curve
    from ragdiag.training.loop import CURVE
    from ragdiag.training.run_folder import run_folder

    lake, workspace = lake_of(context), command_workspace(context.obj)
    found = find_known(lake, workspace, run)
    folder = run_folder(workspace, found.run_id).root
    curve = read_curve(folder / CURVE)
    document = {
        **_document(found),
        "folder": str(folder),
        "curve": [asdict(point) for point in curve],
    }
    emit(document, as_json, lambda: run_text(found, curve, folder))
    return found


def cancel_command(context: typer.Context, run: str, as_json: Json = False) -> None:
    """Ask a run to stop at its next step. The same command goes on later."""
    from ragdiag.training.run_folder import run_folder

    lake, workspace = lake_of(context), command_workspace(context.obj)
    found = find_known(lake, workspace, run)
    folder = run_folder(workspace, found.run_id)
    if not folder.is_running:
        raise InputError(
            f"training run {found.run_id} is not running ({found.standing})",
            remedy="see: ragdiag tune list",
        )
    folder.ask_to_stop()
    emit(
        {"run_id": found.run_id, "asked": True},
        as_json,
        lambda: f"run {found.run_id} stops at its next step; the same command goes on with it",
    )


def _known(lake: Lake, workspace: Workspace) -> list[KnownRun]:
    from ragdiag.store.deployments import load_deployments
    from ragdiag.store.training_runs import list_runs
    from ragdiag.workflows.tuning.state import describe_runs

    return describe_runs(workspace, list_runs(lake), load_deployments(lake))


def find_known(lake: Lake, workspace: Workspace, given: str) -> KnownRun:
    """By its id, or by as much of its beginning as no other run has."""
    found = [run for run in _known(lake, workspace) if run.run_id.startswith(given)]
    exact = [run for run in found if run.run_id == given]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        raise UnknownName(
            f"{len(found)} training runs begin with {given!r}", remedy="give more of the id"
        )
    raise UnknownName(f"there is no training run {given!r}", remedy="see: ragdiag tune list")


def stored_by(context: typer.Context, kind: str, given: str | None) -> str | None:
    """The id of the run whose data is to be learnt from, one of this ``kind``."""
    if given is None:
        return None
    lake, workspace = lake_of(context), command_workspace(context.obj)
    found = find_known(lake, workspace, given)
    if found.kind != kind:
        raise InputError(
            f"training run {found.run_id} is of a {found.kind}, whose texts are others",
            remedy=f"name a run of tune {kind}",
        )
    return found.run_id


def price_told(
    context: typer.Context, writer: str, passages: int, *, yes: bool, as_json: bool
) -> bool:
    """Whether questions to ``passages`` cost something that ``yes`` does not allow; says what."""
    from ragdiag.workflows.tuning.writing import writing_price

    price = writing_price(lake_of(context), writer, passages) if passages else None
    if price is None or yes:
        return False
    emit({"price": price}, as_json, lambda: f"{price}. Nothing was asked: add --yes")
    return True


def _document(run: KnownRun) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "kind": run.kind,
        "state": run.standing,
        "recorded_at": None if run.recorded_at is None else run.recorded_at.isoformat(),
        "waits_for_canary": run.waits,
        "facts": None if run.facts is None else run.facts.to_json(),
        "fault": run.fault,
    }
