"""``ragdiag deploy watch``: roll back by itself on an alarm."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import Exit

from ragdiag.commands.options import Json, read_seconds
from ragdiag.console import emit, fail
from ragdiag.errors import InputError
from ragdiag.settings import Workspace, command_workspace

if TYPE_CHECKING:
    from ragdiag.workflows.releasing.decisions import Decided

ACTOR = "ragdiag deploy watch"


def watch_command(
    context: typer.Context,
    every: Annotated[str, typer.Option(help="Between two looks: 60s, 5m, 1h.")] = "60s",
    once: Annotated[bool, typer.Option("--once", help="Look once; exit 1 on a rollback.")] = False,
    as_json: Json = False,
) -> None:
    """Look at the canary, and at a version promoted lately; roll back what has an alarm."""
    from ragdiag.store.lake import open_lake
    from ragdiag.workflows.releasing.decisions import watch_once
    from ragdiag.workflows.releasing.watching import watch_deployment

    workspace = command_workspace(context.obj)
    if once:
        found = watch_once(open_lake(workspace), workspace, actor=ACTOR)
        document = {"looks": [one.to_json() for one in found]}
        emit(document, as_json, lambda: _text(workspace, found))
        if any(one.event is not None for one in found):
            raise Exit(1)
        return
    if as_json:
        raise InputError(
            "--json prints one document, and --every never ends", remedy="give --once as well"
        )
    watch_deployment(
        workspace,
        read_seconds(every),
        actor=ACTOR,
        seen=lambda found: print(_text(workspace, found), flush=True),
        failed=lambda error: fail(str(error)),
        stop=threading.Event(),
    )


def _text(workspace: Workspace, found: Sequence[Decided]) -> str:
    from ragdiag.commands.deploy_words import deployment_text, look_text
    from ragdiag.store.lake import open_lake
    from ragdiag.store.queries import version_names

    names = version_names(open_lake(workspace))
    lines = []
    for one in found:
        lines.append(look_text(one.look, names))
        if one.event is not None:
            lines.append(f"now: {deployment_text(one.event.deployment, names)}")
    return "\n".join(lines) or "nothing is watched: no canary runs, and nothing was promoted"
