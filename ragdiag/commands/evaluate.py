"""``ragdiag evaluate``: every question of a split, asked, logged and measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragdiag.commands.evaluate_words import evaluation_text
from ragdiag.commands.options import Json, JudgedSplit, ProgressOption, Roles, Tenant, lake_of
from ragdiag.console import emit, progress_to
from ragdiag.settings import command_workspace


def evaluate_command(
    context: typer.Context,
    version: str,
    split: JudgedSplit,
    run_out: Annotated[Path | None, typer.Option(help="Also write a TREC run file.")] = None,
    tenant: Tenant = None,
    role: Roles = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Ask every question of a split, log it, and report metrics with 95 % intervals."""
    from ragdiag.importers.trec import write_run
    from ragdiag.retrieval.filters import PassageFilter
    from ragdiag.store.results import find_version
    from ragdiag.workflows.comparing.evaluate import evaluate

    lake = lake_of(context)
    with progress_to(progress_file) as progress:
        found = evaluate(
            lake,
            command_workspace(context.obj),
            find_version(lake, version),
            split,
            progress,
            only=PassageFilter(tenant, frozenset(role or ())),
        )
    if run_out is not None:
        write_run(run_out, {r.question_id or "": r.ranking for r in found.requests}, version)
    emit(found.to_json(), as_json, lambda: evaluation_text(found))
