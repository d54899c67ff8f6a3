"""Metrics of any run, equal to trec_eval 10 to the four decimals that it prints.

Queries with results and without judgments are named, not averaged. A query without a relevant
passage scores 0 here, as in trec_eval; elsewhere in ragdiag it is undefined (METHODS.md §9).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragdiag.errors import InputError
from ragdiag.metrics.trec_names import (
    MEASURES,
    SUMMARY_ONLY,
    Choice,
    asks_for_run_id,
    choose_measures,
)
from ragdiag.metrics.trec_ranking import JudgedRanking, judge_ranking

LEAST_IN_GEOMETRIC_MEAN = 1e-5

Qrels = Mapping[str, Mapping[str, int]]
Run = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class TrecScores:
    """``summary`` by metric, ``per_query`` by query and metric; ``labels`` is trec_eval's order.

    ``texts`` holds what is no number (``relstring``) by query; ``run_id`` is printed where it was
    asked for. ``unjudged`` queries have results and no judgments and count nowhere; ``missing``
    ones have judgments and no results: they count as 0 if ``complete`` was asked for, else nowhere.
    """

    labels: tuple[str, ...]
    summary: dict[str, float]
    per_query: dict[str, dict[str, float]]
    texts: dict[str, dict[str, str]]
    unjudged: tuple[str, ...]
    missing: tuple[str, ...]
    run_id: str | None = None


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
    choices = choose_measures(metrics)
    judged = {query_id: grades for query_id, grades in sorted(qrels.items()) if grades}
    found = {query_id for query_id, scores in run.items() if scores}
    scored = [query_id for query_id in judged if complete or query_id in found]
    if not scored:
        raise InputError(
            "no query has both results and judgments",
            remedy="check that the run and the judgments name their queries alike",
        )
    rankings = {
        query_id: judge_ranking(query_id, run.get(query_id, {}), judged[query_id], relevance_level)
        for query_id in scored
    }
    rows = {query_id: _values(ranking, choices) for query_id, ranking in rankings.items()}
    hidden = {choice.label for choice in choices if choice.measure.summary in SUMMARY_ONLY}
    return TrecScores(
        labels=tuple(choice.label for choice in choices),
        summary=_summarise(choices, [row for row, _ in rows.values()]),
        per_query={
            query_id: {label: value for label, value in row.items() if label not in hidden}
            for query_id, (row, _) in rows.items()
        },
        texts={query_id: texts for query_id, (_, texts) in rows.items()},
        unjudged=tuple(sorted(found - judged.keys())),
        missing=tuple(query_id for query_id in judged if query_id not in found),
        run_id=run_id if asks_for_run_id(metrics) else None,
    )


def format_trec(scores: TrecScores, per_query: bool) -> str:
    """trec_eval's own three columns, as it prints them: queries first (-q), then all.

    >>> scores = score_run({"q": {"a": 1}}, {"q": {"a": 0.5}}, ["num_ret", "map"])
    >>> print(format_trec(scores, per_query=True).expandtabs(), end="")
    num_ret                 q       1
    map                     q       1.0000
    num_ret                 all     1
    map                     all     1.0000
    """
    lines: list[tuple[str, str, str]] = []
    for query_id, values in scores.per_query.items() if per_query else ():
        shown = {label: _print_value(label, value) for label, value in values.items()}
        shown |= {label: f"'{text}'" for label, text in scores.texts[query_id].items()}
        lines += [(label, query_id, shown[label]) for label in scores.labels if label in shown]
    if scores.run_id is not None:
        lines.append(("runid", "all", scores.run_id))
    lines += [(label, "all", _print_value(label, value)) for label, value in scores.summary.items()]
    return "".join(f"{label:<22}\t{query_id}\t{value}\n" for label, query_id, value in lines)


def _values(
    ranking: JudgedRanking, choices: Sequence[Choice]
) -> tuple[dict[str, float], dict[str, str]]:
    """(numbers, texts) of one query by printed name."""
    numbers: dict[str, float] = {}
    texts: dict[str, str] = {}
    for choice in choices:
        value = choice.measure.at(ranking, choice.cutoff)
        if isinstance(value, str):
            texts[choice.label] = value
        else:
            numbers[choice.label] = value
    return numbers, texts


def _summarise(choices: Sequence[Choice], rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    summary: dict[str, float] = {}
    for choice in choices:
        if choice.measure.summary == "none":
            continue
        values = [row[choice.label] for row in rows]
        if choice.measure.summary == "geometric":
            logs = [math.log(max(value, LEAST_IN_GEOMETRIC_MEAN)) for value in values]
            summary[choice.label] = math.exp(sum(logs) / len(logs))
        elif choice.measure.count:
            summary[choice.label] = sum(values)
        else:
            summary[choice.label] = sum(values) / len(values)
    return summary


def _print_value(label: str, value: float) -> str:
    measure = MEASURES.get(label)
    return str(int(value)) if measure and measure.count else f"{value:6.4f}"
