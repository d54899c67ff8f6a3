"""``ragdiag tune reader|generator|export``: a model of one's own that answers, judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ragdiag.commands.options import Json, ProgressOption, opened
from ragdiag.commands.tune import tell_run
from ragdiag.commands.tune_options import (
    Alpha,
    Batch,
    Bits,
    Dropout,
    Epochs,
    LearningRate,
    Rank,
    SaveTuned,
    TestSplit,
    few_bits,
)
from ragdiag.console import emit, progress_to

AnswerSplit = Annotated[
    str, typer.Option("--split", help="Questions with gold passages and answers to learn from.")
]
Method = Annotated[
    Literal["full", "lora"], typer.Option(help="All weights, or an adapter beside them.")
]
Metric = Annotated[
    Literal["correct", "token_f1"], typer.Option(help="What the gate judges answers by.")
]
Declines = Annotated[
    float,
    typer.Option(min=0, max=1, help="Share of the questions to learn to decline as well."),
]


def tune_reader_command(
    context: typer.Context,
    version: str,
    base: Annotated[str, typer.Option(help="Folder of an encoder, or of an earlier reader.")],
    split: AnswerSplit = "train",
    test: TestSplit = "test",
    method: Method = "full",
    metric: Metric = "correct",
    max_tokens: Annotated[int, typer.Option(min=16, max=8192, help="Of one window.")] = 384,
    epochs: Epochs = None,
    learning_rate: LearningRate = None,
    batch: Batch = 16,
    rank: Rank = 16,
    alpha: Alpha = 32,
    seed: int = 0,
    save_as: SaveTuned = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Train a model that marks answers in passages.

    The result is left as a version, judged; nothing is promoted. Exit status 0 where the gate
    passed, 1 where it rolls back, 3 where it is inconclusive. The same command goes on with a
    run that was ended.
    """
    from dataclasses import replace

    from ragdiag.training.adapters import ANSWERING
    from ragdiag.workflows.tuning.answer_options import LearnAnswers, ReaderTuning
    from ragdiag.workflows.tuning.answers import tune_answers

    tuning = ReaderTuning(
        base=base,
        learn=LearnAnswers(split, test, metric=metric, seed=seed),
        method=method,
        max_tokens=max_tokens,
        epochs=epochs,
        learning_rate=learning_rate,
        batch=batch,
        lora=replace(ANSWERING, rank=rank, alpha=alpha),
        save_as=save_as,
    )
    with progress_to(progress_file) as progress:
        run = tune_answers(*opened(context, version), tuning, progress)
    if run is not None:
        tell_run(context, run.run_id, as_json)


def tune_generator_command(
    context: typer.Context,
    version: str,
    base: Annotated[str, typer.Option(help="Folder of a causal language model.")],
    split: AnswerSplit = "train",
    test: TestSplit = "test",
    method: Method = "lora",
    metric: Metric = "correct",
    declines: Declines = 0.25,
    max_tokens: Annotated[
        int, typer.Option(min=64, max=1_000_000, help="Of a prompt with its answer.")
    ] = 2048,
    max_output_tokens: Annotated[int, typer.Option(min=1, max=32_000)] = 100,
    epochs: Epochs = None,
    learning_rate: LearningRate = None,
    batch: Batch = 16,
    micro: Annotated[int, typer.Option(min=1, max=4096, help="Examples in memory at once.")] = 2,
    rank: Rank = 16,
    alpha: Alpha = 32,
    dropout: Dropout = 0.0,
    bits: Bits = None,
    seed: int = 0,
    save_as: SaveTuned = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Train a language model to answer from passages.

    The result is left as a version, judged; nothing is promoted. Exit status 0 where the gate
    passed, 1 where it rolls back, 3 where it is inconclusive. The same command goes on with a
    run that was ended.
    """
    from dataclasses import replace

    from ragdiag.training.adapters import ANSWERING
    from ragdiag.workflows.tuning.answer_options import GeneratorTuning, LearnAnswers
    from ragdiag.workflows.tuning.answers import tune_answers

    tuning = GeneratorTuning(
        base=base,
        learn=LearnAnswers(split, test, declines, metric, seed),
        method=method,
        max_tokens=max_tokens,
        max_output_tokens=max_output_tokens,
        epochs=epochs,
        learning_rate=learning_rate,
        batch=batch,
        micro=micro,
        bits=few_bits(bits),
        lora=replace(ANSWERING, rank=rank, alpha=alpha, dropout=dropout),
        save_as=save_as,
    )
    with progress_to(progress_file) as progress:
        run = tune_answers(*opened(context, version), tuning, progress)
    if run is not None:
        tell_run(context, run.run_id, as_json)


def export_answers_command(
    context: typer.Context,
    version: str,
    split: Annotated[str, typer.Option("--split", help="Questions to write.")],
    out: Annotated[Path, typer.Option("--out", help="Chat JSONL; passages leave with it.")],
    declines: Declines = 0.25,
    tokenizer: Annotated[
        str | None, typer.Option(help="Folder of the tokenizer to count tokens by.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Refuse longer rows; needs --tokenizer.")
    ] = None,
    seed: int = 0,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Write a split's examples for a model hosted elsewhere."""
    from ragdiag.errors import InputError
    from ragdiag.training.answers.examples import AnswerOptions
    from ragdiag.workflows.tuning.export_answers import export_answers

    if max_tokens is not None and tokenizer is None:
        raise InputError("--max-tokens counts tokens", remedy="name a --tokenizer to count by")
    with progress_to(progress_file) as progress:
        found = export_answers(
            *opened(context, version),
            out,
            AnswerOptions(split, declines, seed=seed),
            tokenizer=tokenizer,
            max_tokens=max_tokens,
            progress=progress,
        )
    emit(found.to_json(), as_json, found.to_text)
