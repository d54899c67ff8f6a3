"""``ragdiag score``: any TREC run by the names of trec_eval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ragdiag.commands.options import Json
from ragdiag.console import emit


def score_command(
    qrels: Annotated[Path, typer.Option(help="TREC judgments.")],
    run: Annotated[Path, typer.Option(help="TREC run.")],
    metric: Annotated[list[str] | None, typer.Option("-m", help="As trec_eval -m.")] = None,
    per_query: Annotated[bool, typer.Option("--per-query", "-q")] = False,
    complete: Annotated[
        bool, typer.Option("-c", help="Count judged queries without results as 0.")
    ] = False,
    relevance_level: Annotated[int, typer.Option("-l", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """Score any TREC run: the numbers of trec_eval, by its own metric names."""
    from ragdiag.importers.trec import read_qrels, read_run, read_run_id
    from ragdiag.metrics.trec import format_trec, score_run, summary_scores
    from ragdiag.metrics.trec_files import summarise_files

    asked = metric or ["official"]
    known = None if per_query else summarise_files(qrels, run, asked, relevance_level, complete)
    scores = (
        summary_scores(known, asked)
        if known is not None
        else score_run(
            read_qrels(qrels),
            read_run(run),
            asked,
            relevance_level=relevance_level,
            complete=complete,
            run_id=read_run_id(run),
        )
    )
    document: dict[str, Any] = {"metrics": scores.summary}
    if per_query:
        document["per_query"] = scores.per_query
    emit(document, as_json, lambda: format_trec(scores, per_query).rstrip("\n"))
