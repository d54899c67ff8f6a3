"""``ragdiag score``: any TREC run by the names of trec_eval."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragdiag.commands.options import Json
from ragdiag.console import emit

if TYPE_CHECKING:
    from ragdiag.metrics.trec import TrecScores

NAMED = 10
"""Queries that are named of those that only one of the two files has."""


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
    """Score any TREC run: the numbers of trec_eval, by its own metric names.

    Queries with results and no judgments, and judged ones without results, are told on stderr.
    """
    from ragdiag.importers.trec import read_qrels, read_run, read_run_id
    from ragdiag.metrics.trec import format_trec, score_run
    from ragdiag.metrics.trec_files import summarise_files

    asked = metric or ["official"]
    known = None if per_query else summarise_files(qrels, run, asked, relevance_level, complete)
    scores = known or score_run(
        read_qrels(qrels),
        read_run(run),
        asked,
        relevance_level=relevance_level,
        complete=complete,
        run_id=read_run_id(run),
    )
    document: dict[str, Any] = {
        "metrics": scores.summary,
        "unjudged": {"n": len(scores.unjudged), "first": scores.unjudged[:NAMED]},
        "missing": {"n": len(scores.missing), "first": scores.missing[:NAMED]},
    }
    if per_query:
        document["per_query"] = scores.per_query
    emit(document, as_json, lambda: format_trec(scores, per_query).rstrip("\n"))
    if told := _left_out(scores, complete):
        print(f"ragdiag: {told}", file=sys.stderr)


def _left_out(scores: TrecScores, complete: bool) -> str:
    """What only one of the two files has, and how it counts; empty where that is nothing."""
    counted = "counted as 0" if complete else "left out (-c counts them as 0)"
    unjudged, missing = scores.unjudged, scores.missing
    kinds = (
        (f"no judgments for {len(unjudged):,} of the run's queries, left out", unjudged),
        (f"no results for {len(missing):,} of the judged queries, {counted}", missing),
    )
    parts = [
        f"{what}: {', '.join(queries[:NAMED])}{' …' * (len(queries) > NAMED)}"
        for what, queries in kinds
        if queries
    ]
    return "; ".join(parts)
