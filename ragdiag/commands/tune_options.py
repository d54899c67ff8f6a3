"""What the commands that train have in common."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

LearnSplit = Annotated[str, typer.Option("--split", help="Judged questions to learn from.")]
NoLabels = Annotated[
    bool,
    typer.Option("--no-labels", help="Learn from no split: from the log and the corpus alone."),
]
TestSplit = Annotated[
    str,
    typer.Option("--test", help="Judged questions to be tested on; nothing is learnt from them."),
]
FromFailures = Annotated[
    bool, typer.Option("--from-failures", help="Learn only from what retrieval got wrong.")
]
Generate = Annotated[
    int, typer.Option(min=0, help="To so many passages a language model writes a question.")
]
Writer = Annotated[
    str | None, typer.Option(help="Version whose [generator] writes them; default: the one tuned.")
]
DataOf = Annotated[
    str | None,
    typer.Option("--data-of", help="Run whose stored pairs are learnt from; same data options."),
]
Augment = Annotated[
    int, typer.Option(min=0, max=20, help="Variants of each question, as users type them.")
]
Dropout = Annotated[float, typer.Option(min=0, max=0.9, help="Of the adapter's inputs.")]
Bits = Annotated[
    Literal["4", "8"] | None,
    typer.Option(help="Load the base in so few bits under an adapter; takes CUDA, bitsandbytes."),
]
SaveTuned = Annotated[
    str | None, typer.Option("--save-as", help="Name of the version that comes of it.")
]
Epochs = Annotated[int | None, typer.Option(min=1, max=100)]
LearningRate = Annotated[float | None, typer.Option(min=0)]
Batch = Annotated[int, typer.Option(min=1, max=4096)]
Rank = Annotated[int, typer.Option(min=1, max=512, help="Of the adapter.")]
Alpha = Annotated[float, typer.Option(min=0, max=4096, help="Scale of the adapter.")]


def few_bits(given: str | None) -> Literal[4, 8] | None:
    """What --bits says, as a number."""
    return None if given is None else 4 if given == "4" else 8
