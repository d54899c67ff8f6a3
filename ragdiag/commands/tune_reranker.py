"""``ragdiag tune reranker``: a cross-encoder of one's own, judged."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ragdiag.commands.options import Json, ProgressOption, Yes, opened
from ragdiag.commands.tune import price_told, stored_by, tell_run
from ragdiag.commands.tune_options import (
    Augment,
    DataOf,
    Epochs,
    FromFailures,
    Generate,
    LearningRate,
    LearnSplit,
    NoLabels,
    SaveTuned,
    TestSplit,
    Writer,
)
from ragdiag.console import progress_to


def tune_reranker_command(
    context: typer.Context,
    version: str,
    split: LearnSplit = "train",
    test: TestSplit = "test",
    no_labels: NoLabels = False,
    from_failures: FromFailures = False,
    method: Annotated[
        Literal["full", "lora"], typer.Option(help="All weights, or an adapter that is merged.")
    ] = "full",
    loss: Annotated[
        Literal["binary", "listwise", "margin_mse", "kl"],
        typer.Option(help="The last two learn from a teacher."),
    ] = "listwise",
    base: Annotated[
        str | None,
        typer.Option(help="An encoder, or an earlier reranker; left out, the packaged encoder."),
    ] = None,
    layers: Annotated[
        int | None, typer.Option(min=1, help="Keep so many of the base: smaller, faster.")
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Folder of a larger cross-encoder to learn from.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=16, max=8192)] = 256,
    depth: Annotated[int, typer.Option(min=2, max=1000, help="Hits that it reorders.")] = 50,
    epochs: Epochs = None,
    learning_rate: LearningRate = None,
    negatives: Annotated[int, typer.Option(min=1, max=64, help="Hard ones, of each pair.")] = 7,
    augment: Augment = 0,
    generate: Generate = 0,
    writer: Writer = None,
    yes: Yes = False,
    data_of: DataOf = None,
    seed: int = 0,
    save_as: SaveTuned = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Train a reranker over what a version retrieves.

    The version that has it is left beside the old one, judged. Exit status 0 where the gate
    passed, 1 where it rolls back, 3 where it is inconclusive. The same command goes on with a
    run that was ended, and with --generate asks the model again unless --data-of names that
    run. Of a priced --writer the cost is shown first, and nothing is asked without --yes.
    """
    from ragdiag.version import PACKAGED_MODEL
    from ragdiag.workflows.tuning.data import LearnFrom
    from ragdiag.workflows.tuning.reranker import RerankerTuning, tune_reranker

    learn = LearnFrom(
        None if no_labels else split,
        test,
        from_failures,
        negatives,
        augment,
        seed,
        generate=generate,
        writer=(writer or version) if generate else None,
        data_of=stored_by(context, "reranker", data_of),
    )
    asked = 0 if learn.data_of else generate
    if price_told(context, writer or version, asked, yes=yes, as_json=as_json):
        return
    tuning = RerankerTuning(
        learn=learn,
        method=method,
        loss=loss,
        base=base or PACKAGED_MODEL,
        layers=layers,
        teacher=teacher,
        max_tokens=max_tokens,
        depth=depth,
        epochs=epochs,
        learning_rate=learning_rate,
        save_as=save_as,
    )
    with progress_to(progress_file) as progress:
        run = tune_reranker(*opened(context, version), tuning, progress)
    if run is not None:
        tell_run(context, run.run_id, as_json)
