"""``ragdiag tune average``: one retriever of several runs, judged."""

from __future__ import annotations

from typing import Annotated

import typer

from ragdiag.commands.options import Json, ProgressOption, lake_of
from ragdiag.commands.tune import find_known, tell_run
from ragdiag.commands.tune_options import SaveTuned
from ragdiag.console import progress_to
from ragdiag.settings import command_workspace


def tune_average_command(
    context: typer.Context,
    runs: Annotated[list[str], typer.Argument(help="Two or more, by their ids.")],
    save_as: SaveTuned = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Average the weights of several tuned retrievers.

    The result is left as a version, judged. The runs tuned one version by --method lora or
    full. Exit status 0 where the gate passed, 1 where it rolls back, 3 where it is
    inconclusive.
    """
    from ragdiag.workflows.tuning.averaging import average_retrievers

    lake, workspace = lake_of(context), command_workspace(context.obj)
    ids = [find_known(lake, workspace, given).run_id for given in runs]
    with progress_to(progress_file) as progress:
        run = average_retrievers(lake, workspace, ids, save_as, progress)
    tell_run(context, run.run_id, as_json)
