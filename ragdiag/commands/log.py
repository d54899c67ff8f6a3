"""``ragdiag log``: lines of JSON into the spool."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from ragdiag.commands.options import Json
from ragdiag.console import USER_ERROR, emit
from ragdiag.errors import InputError
from ragdiag.settings import command_workspace


def log_command(
    context: typer.Context,
    line: Annotated[str | None, typer.Argument(help="One line; without it, stdin.")] = None,
    version_id: Annotated[
        str, typer.Option(help="The version of requests that name none; see: version list.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Spool requests and feedback, a JSON object a line; docs/logging.md shows the fields."""
    from ragdiag.workflows.logs.append import log_lines

    if line is None and sys.stdin.isatty():
        raise InputError("there is nothing to log", remedy="give a line, or pipe a file in")
    given = sys.stdin.buffer if line is None else io.BytesIO(line.encode(errors="replace"))
    logged = log_lines(command_workspace(context.obj), given, version_id)
    emit(logged.to_json(), as_json, logged.to_text)
    if logged.rejects:
        raise typer.Exit(USER_ERROR)
