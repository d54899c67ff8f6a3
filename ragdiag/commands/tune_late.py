"""``ragdiag tune late-interaction``: an adapter that reads better, judged."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ragdiag.commands.options import Json, ProgressOption, opened
from ragdiag.commands.tune import stored_by, tell_run
from ragdiag.commands.tune_options import (
    Augment,
    DataOf,
    Epochs,
    FromFailures,
    LearningRate,
    LearnSplit,
    NoLabels,
    SaveTuned,
    TestSplit,
)
from ragdiag.console import progress_to

Method = Annotated[
    Literal["query-lora", "lora"],
    typer.Option(help="Questions alone; or passages too, encoded anew."),
]


def tune_late_command(
    context: typer.Context,
    version: str,
    split: LearnSplit = "train",
    test: TestSplit = "test",
    no_labels: NoLabels = False,
    from_failures: FromFailures = False,
    method: Method = "query-lora",
    epochs: Epochs = None,
    learning_rate: LearningRate = None,
    augment: Augment = 0,
    data_of: DataOf = None,
    seed: int = 0,
    save_as: SaveTuned = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Train how a version's late interaction reads.

    Its index, depth and weight stay as they are. The version that has the
    adapter is left beside the old one, judged. Exit status 0 where the gate passed, 1 where it
    rolls back, 3 where it is inconclusive. The same command goes on with a run that was ended.
    """
    from ragdiag.workflows.tuning.data import LearnFrom
    from ragdiag.workflows.tuning.late_interaction import (
        LateInteractionTuning,
        tune_late_interaction,
    )

    learn = LearnFrom(
        None if no_labels else split,
        test,
        from_failures,
        hard=0,
        augment=augment,
        seed=seed,
        data_of=stored_by(context, "reranker", data_of),
    )
    tuning = LateInteractionTuning(learn, method, epochs, learning_rate, save_as=save_as)
    with progress_to(progress_file) as progress:
        run = tune_late_interaction(*opened(context, version), tuning, progress)
    if run is not None:
        tell_run(context, run.run_id, as_json)
