"""How paths and rerankers are weighed, learned from judged questions. docs/retrieval.md."""

from __future__ import annotations

from typing import Annotated

import typer

from ragdiag.commands.options import Json, ProgressOption, SaveAs, opened
from ragdiag.console import emit, progress_to
from ragdiag.version import Stemmer

Split = Annotated[
    str, typer.Option("--split", help="Which judged questions; not those to test on.")
]


def tune_fusion_command(
    context: typer.Context,
    version: str,
    split: Split,
    save_as: SaveAs = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Choose the weight of the dense path by cross-validation; a path alone is a candidate too."""
    from ragdiag.workflows.weighing.tune_fusion import tune_fusion

    with progress_to(progress_file) as progress:
        tuned = tune_fusion(
            *opened(context, version),
            split,
            save_as=save_as,
            progress=progress,
        )
    emit(tuned.to_json(), as_json, tuned.to_text)


def tune_lexical_command(
    context: typer.Context,
    version: str,
    split: Split,
    stemmer: Annotated[Stemmer, typer.Option(help="Language whose stems are tried.")] = "english",
    save_as: SaveAs = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Choose k1, b and stemming of BM25 by the fused lists, with cross-validation of the choice."""
    from ragdiag.workflows.weighing.tune_lexical import tune_lexical

    with progress_to(progress_file) as progress:
        tuned = tune_lexical(
            *opened(context, version),
            split,
            stemmer=stemmer,
            save_as=save_as,
            progress=progress,
        )
    emit(tuned.to_json(), as_json, tuned.to_text)


def calibrate_reranker_command(
    context: typer.Context,
    version: str,
    split: Split,
    save_as: SaveAs = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Turn a reranker's logits into probabilities that judged questions bear out."""
    from ragdiag.workflows.weighing.calibrate_reranker import calibrate_reranker

    with progress_to(progress_file) as progress:
        found = calibrate_reranker(
            *opened(context, version),
            split,
            save_as=save_as,
            progress=progress,
        )
    emit(found.to_json(), as_json, found.to_text)


def weigh_reranker_command(
    context: typer.Context,
    version: str,
    split: Split,
    keep_depth: Annotated[
        bool, typer.Option("--keep-depth", help="Weigh it at the depth that it reads now.")
    ] = False,
    save_as: SaveAs = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Choose weight and depth of a reranker by cross-validation; none at all is a candidate too."""
    from ragdiag.workflows.weighing.weigh_reranker import weigh_reranker

    with progress_to(progress_file) as progress:
        weighed = weigh_reranker(
            *opened(context, version),
            split,
            keep_depth=keep_depth,
            save_as=save_as,
            progress=progress,
        )
    emit(weighed.to_json(), as_json, weighed.to_text)
