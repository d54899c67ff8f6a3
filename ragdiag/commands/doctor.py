"""``ragdiag doctor``: what is wrong with this machine or this workspace, and the remedy."""

from __future__ import annotations

import typer

from ragdiag.commands.options import Json
from ragdiag.console import emit, table
from ragdiag.settings import command_workspace


def doctor_command(context: typer.Context, as_json: Json = False) -> None:
    """Check this machine and this workspace; each finding comes with its remedy."""
    from ragdiag.workflows.doctor import examine

    findings = examine(command_workspace(context.obj))
    rows = [{"check": f.what, "state": f.status, "remedy": f.remedy} for f in findings]
    emit(rows, as_json, lambda: table(rows))
    if any(finding.status == "bad" for finding in findings):
        raise typer.Exit(1)
