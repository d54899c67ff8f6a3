"""``ragdiag index prune``: builds that nothing needs leave the disk. See docs/indexes.md."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ragdiag.commands.options import CENTURY_DAYS, DryRemoval, Json, lake_of
from ragdiag.console import emit
from ragdiag.settings import command_workspace

if TYPE_CHECKING:
    from ragdiag.deploy.prune import PruneReport

DAYS = 7
MEGABYTE = 1e6


def prune_command(
    context: typer.Context,
    older_than: Annotated[
        int,
        typer.Option(min=0, max=CENTURY_DAYS, metavar="DAYS", help="Younger builds stay."),
    ] = DAYS,
    dry_run: DryRemoval = False,
    as_json: Json = False,
) -> None:
    """Remove builds of every version that neither serve nor are where a rollback leads, and what
    killed builds left."""
    from ragdiag.deploy.prune import prune_builds

    workspace = command_workspace(context.obj)
    before = datetime.now(UTC) - timedelta(days=older_than)
    done = prune_builds(lake_of(context), workspace, before, dry_run=dry_run)
    document = {**asdict(done), "bytes_freed": done.bytes_freed, "dry_run": dry_run}
    emit(document, as_json, lambda: _text(done, dry_run))


def _text(done: PruneReport, dry_run: bool) -> str:
    verb = "would go" if dry_run else "is gone"
    lines = [f"build {name} {verb}" for name in done.builds]
    lines += [f"what is left of a killed build, {name}, {verb}" for name in done.leftovers]
    lines += [f"the Milvus collection {name} is gone" for name in done.collections]
    lines += [f"build {name} stays: {why}" for name, why in done.kept.items()]
    lines += [f"not dropped from Milvus: {fault}" for fault in done.faults]
    freed = "would be freed" if dry_run else "freed"
    return "\n".join([*lines, f"{done.bytes_freed / MEGABYTE:.1f} MB {freed}"])
