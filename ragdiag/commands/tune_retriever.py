"""``ragdiag tune retriever``: from what went wrong to a better retriever, judged."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ragdiag.commands.options import Json, ProgressOption, Yes, opened
from ragdiag.commands.tune import price_told, stored_by, tell_run
from ragdiag.commands.tune_options import (
    Alpha,
    Augment,
    Batch,
    Bits,
    DataOf,
    Dropout,
    Epochs,
    FromFailures,
    Generate,
    LearningRate,
    LearnSplit,
    NoLabels,
    Rank,
    SaveTuned,
    TestSplit,
    Writer,
    few_bits,
)
from ragdiag.console import progress_to


def tune_retriever_command(
    context: typer.Context,
    version: str,
    split: LearnSplit = "train",
    test: TestSplit = "test",
    no_labels: NoLabels = False,
    from_failures: FromFailures = False,
    method: Annotated[
        Literal["query-lora", "lora", "full"],
        typer.Option(help="An adapter for questions (the index stays), for both sides, or all."),
    ] = "query-lora",
    loss: Annotated[
        Literal["info_nce", "triplet", "margin_mse", "kl"],
        typer.Option(help="What is minimised; the last two learn from a teacher."),
    ] = "info_nce",
    teacher: Annotated[
        str | None, typer.Option(help="Folder of a cross-encoder to learn from.")
    ] = None,
    epochs: Epochs = None,
    learning_rate: LearningRate = None,
    batch: Batch = 32,
    rank: Rank = 32,
    alpha: Alpha = 64,
    rslora: Annotated[bool, typer.Option("--rslora", help="Scale by the root of rank.")] = False,
    dora: Annotated[bool, typer.Option("--dora", help="Magnitudes apart from directions.")] = False,
    dropout: Dropout = 0.0,
    bits: Bits = None,
    target_modules: Annotated[
        str | None, typer.Option(help="Separated by commas; default: the model's attention.")
    ] = None,
    negatives: Annotated[int, typer.Option(min=0, max=64, help="Hard ones, of each pair.")] = 2,
    augment: Augment = 0,
    generate: Generate = 0,
    writer: Writer = None,
    yes: Yes = False,
    data_of: DataOf = None,
    mix: Annotated[
        str | None,
        typer.Option(help="General pairs (JSONL of question and passage, or a BEIR folder)."),
    ] = None,
    sentences: Annotated[
        int, typer.Option(min=0, help="Of the corpus, learnt from as questions too.")
    ] = 0,
    precision: Annotated[
        Literal["fp32", "bf16"], typer.Option(help="bf16 where the machine multiplies it faster.")
    ] = "fp32",
    cached: Annotated[
        int | None, typer.Option(min=1, help="Texts in memory at once, of a batch too large.")
    ] = None,
    scale: Annotated[
        float, typer.Option(min=0.01, max=1000, help="1 / temperature of the loss.")
    ] = 20.0,
    margin: Annotated[float, typer.Option(min=0, help="Of the triplet loss.")] = 0.2,
    seed: int = 0,
    save_as: SaveTuned = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Tune a version's embedder, from failures if you like.

    The result is left beside the version, judged; nothing is promoted. Exit status 0 where the
    gate passed, 1 where it rolls back, 3 where it is inconclusive. The same command goes on
    with a run that was ended, and with --generate asks the model again unless --data-of names
    that run. Of a priced --writer the cost is shown first, and nothing is asked without --yes.
    """
    from ragdiag.training.adapters import LoraOptions
    from ragdiag.workflows.tuning.data import LearnFrom
    from ragdiag.workflows.tuning.retriever import RetrieverTuning, tune_retriever

    named = (one.strip() for one in (target_modules or "").split(","))
    modules = tuple(one for one in named if one) or None
    learn = LearnFrom(
        None if no_labels else split,
        test,
        from_failures,
        negatives,
        augment,
        seed,
        sentences=sentences,
        generate=generate,
        writer=(writer or version) if generate else None,
        data_of=stored_by(context, "retriever", data_of),
        mix=mix,
    )
    asked = 0 if learn.data_of else generate
    if price_told(context, writer or version, asked, yes=yes, as_json=as_json):
        return
    tuning = RetrieverTuning(
        learn=learn,
        method=method,
        loss=loss,
        teacher=teacher,
        epochs=epochs,
        learning_rate=learning_rate,
        batch=batch,
        precision=precision,
        cached=cached,
        bits=few_bits(bits),
        scale=scale,
        margin=margin,
        lora=LoraOptions(rank, alpha, dropout, rslora=rslora, dora=dora, target_modules=modules),
        save_as=save_as,
    )
    with progress_to(progress_file) as progress:
        run = tune_retriever(*opened(context, version), tuning, progress)
    if run is not None:
        tell_run(context, run.run_id, as_json)
