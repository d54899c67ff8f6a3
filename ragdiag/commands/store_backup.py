"""``ragdiag store backup``, ``restore`` and ``replay``: second copies, and what they bring back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ragdiag.commands.options import Json, ProgressOption, lake_of
from ragdiag.console import emit, progress_to
from ragdiag.errors import StoreError
from ragdiag.settings import command_workspace


def backup_command(
    context: typer.Context,
    directory: Path,
    spool: Annotated[
        bool, typer.Option("--spool", help="With waiting segments and the spool archive.")
    ] = False,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Copy the lake into a folder while services write; only what the folder lacks."""
    from ragdiag.store.upkeep.backup import backup_store

    with progress_to(progress_file) as progress:
        lake, workspace = lake_of(context), command_workspace(context.obj)
        made = backup_store(lake, workspace, directory, spool=spool, progress=progress)
    emit(
        asdict(made),
        as_json,
        lambda: (
            f"backup {made.backup}: snapshot {made.snapshot}, {made.files} files, "
            f"{made.copied} of them copied ({made.bytes_copied} bytes)"
        ),
    )


def restore_command(
    context: typer.Context,
    directory: Path,
    backup: Annotated[
        str | None, typer.Option(help="Which one of the folder; default: the newest.")
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Also over a lake, which is moved aside; elsewhere among files of a lake that is "
            "gone.",
        ),
    ] = False,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Make a backup the lake of the workspace again; every hash is verified first."""
    from ragdiag.store.upkeep.restore import restore_store
    from ragdiag.workflows.logs.forget import forget_again

    workspace = command_workspace(context.obj)
    with progress_to(progress_file) as progress:
        done = restore_store(workspace, directory, backup=backup, force=force, progress=progress)
        try:
            again = forget_again(lake_of(context), workspace)
        except StoreError as error:
            raise StoreError(
                f"the backup is restored, with whoever was forgotten since ({error.message})",
                remedy="stop services and the dashboard, then run: ragdiag privacy forget-again",
            ) from error
    forgotten = again.requests if again else 0
    lines = [f"snapshot {done.snapshot} restored: {done.files} files, {done.bytes} bytes"]
    if forgotten:
        lines.append(f"{forgotten} requests of forgotten users were removed again")
    if done.moved_to:
        lines.append(f"the lake that was there is now {done.moved_to}")
    if done.to_ingest:
        lines.append(f"{done.to_ingest} segments came later; run: ragdiag ingest")
    emit({**asdict(done), "forgotten_again": forgotten}, as_json, lambda: "\n".join(lines))


def replay_command(context: typer.Context, as_json: Json = False) -> None:
    """Put archived segments back into the spool: those that this lake never loaded, and those
    whose rows are in files that are set aside."""
    from ragdiag.store.upkeep.reloading import return_lost

    names = return_lost(lake_of(context), command_workspace(context.obj))
    emit({"segments": names}, as_json, lambda: f"{len(names)} segments; run: ragdiag ingest")
