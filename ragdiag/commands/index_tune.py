"""``index tune``, ``index measure``: its settings, what it takes and gives. docs/indexes.md."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ragdiag.commands.options import Json, ProgressOption, SaveAs, opened
from ragdiag.console import emit, progress_to


def tune_index_command(
    context: typer.Context,
    version: str,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="Recall at this rank.")] = 10,
    target: Annotated[
        float, typer.Option(min=0, max=1, help="What the lower 95 % bound of recall must reach.")
    ] = 0.95,
    objective: Annotated[
        Literal["latency", "memory"], typer.Option(help="What is to be least.")
    ] = "latency",
    questions: Annotated[int, typer.Option(min=20, help="Questions to search with.")] = 500,
    kinds: Annotated[
        str | None, typer.Option(help="Separated by commas; default: every kind.")
    ] = None,
    save_as: SaveAs = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Sweep index settings against exact neighbours and take the cheapest that is good enough."""
    from ragdiag.errors import InputError
    from ragdiag.workflows.indexing.tune import KINDS, Aim, tune_index

    named = tuple(kinds.split(",")) if kinds else KINDS
    if unknown := [kind for kind in named if kind not in KINDS]:
        raise InputError(f"there is no kind {unknown[0]!r}", remedy=f"one of: {', '.join(KINDS)}")
    with progress_to(progress_file) as progress:
        tuned = tune_index(
            *opened(context, version),
            Aim(k, target, objective, questions, named),
            save_as=save_as,
            progress=progress,
        )
    emit(tuned.to_json(), as_json, tuned.to_text)


def measure_index_command(
    context: typer.Context,
    version: str,
    questions: Annotated[int, typer.Option(min=1, help="How many to ask.")] = 200,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Say what the index that serves takes and gives: bytes, memory, search time, throughput."""
    from ragdiag.workflows.indexing.measure import measure_index

    with progress_to(progress_file) as progress:
        found = measure_index(*opened(context, version), questions, progress)
    emit(found.to_json(), as_json, found.to_text)
