"""Metrics of any run, equal to trec_eval 10 to the four decimals that it prints.

Queries with results and without judgments are named, not averaged. A query without a relevant
passage scores 0 here, as in trec_eval; elsewhere in ragdiag it is undefined (METHODS.md §9).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragdiag.errors import InputError
from ragdiag.metrics.trec_names import MEASURES, NICKNAMES, Measure
from ragdiag.metrics.trec_ranking import JudgedRanking, judge_ranking

LEAST_IN_GEOMETRIC_MEAN = 1e-5

Qrels = Mapping[str, Mapping[str, int]]
Run = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class TrecScores:
    """``summary`` by metric, ``per_query`` by query and metric, both in trec_eval's order.

    ``texts`` holds what is no number (``relstring``) by query; ``run_id`` is printed where it was
    asked for. ``unjudged`` queries have results and no judgments and count nowhere; ``missing``
    ones have judgments and no results: they count as 0 if ``complete`` was asked for, else nowhere.
    """

    summary: dict[str, float]
    per_query: dict[str, dict[str, float]]
    texts: dict[str, dict[str, str]]
    unjudged: tuple[str, ...]
    missing: tuple[str, ...]
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """One value to compute for every query: a measure at one cutoff, and its printed name."""

    label: str
    measure: Measure
    cutoff: float


def score_run(
    qrels: Qrels,
    run: Run,
    metrics: Sequence[str] = ("official",),
    relevance_level: int = 1,
    complete: bool = False,
    run_id: str = "",
) -> TrecScores:
    """Score a run against judgments, query by query and over all.

    ``metrics`` are trec_eval's names, as its -m: ``map``, ``ndcg_cut`` (all its cutoffs),
    ``ndcg_cut_10`` or ``ndcg_cut.10,20``, ``official``, ``set``, ``all_trec``. ``relevance_level``
    (-l) is the lowest relevant grade. Averages are over the queries with judgments and results;
    with ``complete`` (-c) over all queries with judgments, the missing ones scoring 0. Raises
    InputError for an unknown metric, a level below 1, a NaN score, or nothing to score.

    >>> scores = score_run({"q": {"a": 1}}, {"q": {"a": 0.5, "b": 0.7}}, ["recip_rank", "P_5"])
    >>> scores.summary
    {'recip_rank': 0.5, 'P_5': 0.2}
    """
    if relevance_level < 1:
        raise InputError(f"relevance level {relevance_level} is below 1", remedy="give 1 or more")
    chosen = choose_measures(metrics)
    judged = {query_id: grades for query_id, grades in sorted(qrels.items()) if grades}
    found = {query_id for query_id, scores in run.items() if scores}
    scored = [query_id for query_id in judged if complete or query_id in found]
    if not scored:
        raise InputError(
            "no query has both results and judgments",
            remedy="check that run and judgments name their queries alike",
        )
    values = {
        query_id: _score_query(query_id, run.get(query_id, {}), judged[query_id], chosen, relevance_level)
        for query_id in scored
    }
    by_query = [choice for choice in chosen if choice.measure.summary not in ("queries", "geometric")]
    return TrecScores(
        summary=_summarise(chosen, list(values.values())),
        per_query={
            query_id: {choice.label: value for choice in by_query if not isinstance(value := row[choice.label], str)}
            for query_id, row in values.items()
        },
        texts={
            query_id: {label: value for label, value in row.items() if isinstance(value, str)}
            for query_id, row in values.items()
        },
        unjudged=tuple(sorted(found - judged.keys())),
        missing=tuple(query_id for query_id in judged if query_id not in found),
        run_id=run_id if _asks_for_run_id(metrics) else None,
    )
