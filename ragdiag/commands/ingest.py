"""``ragdiag ingest``: once, or for as long as it runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ragdiag.commands.options import Json, read_seconds
from ragdiag.console import emit, fail, table, waiting_for_stop
from ragdiag.errors import InputError
from ragdiag.settings import Workspace, command_workspace

if TYPE_CHECKING:
    from ragdiag.records import IndexCheck
    from ragdiag.store.lake import Lake
    from ragdiag.workflows.logs.ingest import Loaded

WHY = "what was rejected, and why: ragdiag store rejects"


def ingest_command(
    context: typer.Context,
    settle_s: Annotated[
        float, typer.Option(min=0, help="How long nothing must have come of a trace.")
    ] = 10.0,
    every: Annotated[
        str | None, typer.Option(help="Go on until SIGINT or SIGTERM, so often: 3s, 1m.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Load what services have spooled, each segment exactly once, and read traces as requests."""
    from ragdiag.store.lake import open_lake

    workspace = command_workspace(context.obj)
    if every is not None:
        if as_json:
            raise InputError(
                "--json prints one document, and --every never ends", remedy="give one of them"
            )
        _go_on(workspace, settle_s, read_seconds(every))
        return
    lake = open_lake(workspace, create=workspace.spool.is_dir())
    loaded, checks = _pass(lake, workspace, settle_s)
    counts = loaded.to_json()
    document = {**counts, "index_checks": [check.to_json() for check in checks]}
    told = [WHY] if counts["rejected"] else []
    emit(document, as_json, lambda: "\n".join([table([counts]), *told, *_stale(checks)]))


def _go_on(workspace: Workspace, settle_s: float, every_s: float) -> None:
    """A line for each pass that took something in; a signal lets the pass under way finish. The
    workspace is made where there is none: the first trace may come later."""
    from ragdiag.deploy.owed import PATIENCE_S
    from ragdiag.store.lake import open_lake
    from ragdiag.workflows.repeating import repeat

    def once() -> None:
        lake = open_lake(workspace, create=True)
        loaded, checks = _pass(lake, workspace, settle_s, look_after_s=PATIENCE_S)
        counts = loaded.to_json()
        lines = []
        if any(counts.values()):
            said = ", ".join(f"{name} {n}" for name, n in counts.items())
            why = f"; {WHY}" if counts["rejected"] else ""
            lines.append(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {said}{why}")
        for line in [*lines, *_stale(checks)]:
            print(line, flush=True)

    print(f"loading what comes into {workspace.root}", flush=True)
    with waiting_for_stop() as wait:
        repeat(once, every_s, failed=lambda error: fail(str(error)), wait=wait)


def _pass(
    lake: Lake, workspace: Workspace, settle_s: float, *, look_after_s: float = 0.0
) -> tuple[Loaded, Sequence[IndexCheck]]:
    from ragdiag.deploy.owed import look_where_owed
    from ragdiag.workflows.logs.ingest import load_waiting

    loaded = load_waiting(lake, workspace, settle_s=settle_s)
    return loaded, look_where_owed(lake, workspace, by="ingest", after_s=look_after_s)


def _stale(checks: Sequence[IndexCheck]) -> list[str]:
    from ragdiag.workflows.indexing.build import bad_findings

    return [bad_findings(check) for check in checks if check.status == "bad"]
