"""``ragdiag import logs``: the options, one call, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragdiag.commands.options import Json, ProgressOption, lake_of
from ragdiag.console import emit, progress_to
from ragdiag.importers.logs.formats import Format
from ragdiag.settings import command_workspace


def import_logs_command(
    context: typer.Context,
    path: Path,
    format: Annotated[Format, typer.Option("--format", help="Told by the content.")] = "auto",
    mapping: Annotated[
        Path | None, typer.Option(help="A TOML file: which column is what; see docs/import.md.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show columns, counts and rejects; change nothing.")
    ] = False,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Load another service's log, a file or a folder; importing again changes nothing."""
    from ragdiag.importers.logs.import_logs import import_logs
    from ragdiag.importers.logs.mapping import Mapping, read_mapping

    workspace = command_workspace(context.obj)
    chosen = Mapping() if mapping is None else read_mapping(mapping)
    with progress_to(progress_file) as progress:
        lake = None if dry_run else lake_of(context, create=True)
        loaded = import_logs(
            lake, workspace, path, format=format, mapping=chosen, progress=progress
        )
    emit(loaded.to_json(), as_json, loaded.to_text)
