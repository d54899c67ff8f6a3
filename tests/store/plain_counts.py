"""What the pages count, said in plain Python over the records: the definition of the SQL."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Any

from ragdiag.records import DEFAULT_GRADER, LATENCY_STAGES, Request, Weighed
from ragdiag.store.lake import Lake
from ragdiag.store.queries import NOT_DIAGNOSED
from ragdiag.store.results import load_requests

Fact = dict[str, Any]

PEOPLE = ("human", "reviewer:ada", "reviewer:bo")
JUDGE = "judge:m/correct-v1"
OWN = (DEFAULT_GRADER, "contains_or_f1")
GRADERS = (*OWN, JUDGE, *PEOPLE)
_LATEST = ("graded_at", "y", "score", "reason")


def facts(lake: Lake) -> list[Fact]:
    """Every request with what is said about it, one dictionary each."""
    by_grader = {grader: _last(lake, "grades", _LATEST, grader=grader) for grader in GRADERS}
    diagnosed = _last(lake, "verdicts", ("diagnosed_at", "verdict", "cause", "verified_fix"))
    said: dict[str, list[Fact]] = defaultdict(list)
    for row in lake.rows("select * from feedback order by given_at, feedback_id"):
        said[row["request_id"]].append(row)
    judged: dict[str, dict[str, int]] = defaultdict(dict)
    for row in lake.rows("select question_id, passage_id, grade from judgments"):
        judged[row["question_id"]][row["passage_id"]] = row["grade"]
    return [
        _fact(
            request,
            _decided({name: by_grader[name].get(request.request_id) for name in GRADERS}),
            diagnosed.get(request.request_id),
            said[request.request_id],
            judged.get(request.question_id or "", {}),
        )
        for request in load_requests(lake)
    ]


def _decided(said: dict[str, Fact | None]) -> Fact | None:
    """People's majority, else the judge, else the default grader."""
    ys = {name: None if row is None else row["y"] for name, row in said.items()}
    people = [y for name, y in ys.items() if name in PEOPLE and y is not None]
    own = next((row for name in OWN if (row := said[name]) is not None), None)
    if sum(people) * 2 != len(people):
        y = int(sum(people) * 2 > len(people))
    elif ys[JUDGE] is not None:
        y = ys[JUDGE]
    else:
        return own
    return {"y": y, "score": None if own is None else own["score"]}


def _last(lake: Lake, table: str, order: tuple[str, ...], **wanted: str) -> dict[str, Fact]:
    found: dict[str, Fact] = {}

    def rank(row: Fact) -> list[tuple[bool, Any]]:
        return [(row[name] is None, row[name] or 0) for name in order]

    for row in lake.rows(f"select * from {table}"):
        if all(row[name] == value for name, value in wanted.items()):
            first = found.setdefault(row["request_id"], row)
            if rank(row) > rank(first):
                found[row["request_id"]] = row
    return found


def _fact(
    request: Request,
    grade: Fact | None,
    verdict: Fact | None,
    said: list[Fact],
    judged: dict[str, int],
) -> Fact:
    relevant = {passage for passage, level in judged.items() if level > 0}
    first_ten = [hit.passage_id for hit in request.ranking[:10]]
    by_kind = {row["kind"]: row["value"] for row in said}
    rr = recall = None
    if relevant:
        rr = next((1 / rank for rank, p in enumerate(first_ten, 1) if p in relevant), 0.0)
        recall = len(set(first_ten) & relevant) / len(relevant)
    y = None if grade is None else grade["y"]
    if verdict is not None and y == 0 and not explains_a_failure(verdict):
        verdict = None
    return {
        "request": request,
        "weight": 1.0 if any(row["certain"] for row in said) else 1 / request.keep_probability,
        "day": request.asked_at.date(),
        "week": request.asked_at.date() - timedelta(days=request.asked_at.weekday()),
        "y": y,
        "score": None if grade is None else grade["score"],
        "verdict": NOT_DIAGNOSED if verdict is None else verdict["verdict"],
        "cause": NOT_DIAGNOSED if verdict is None else verdict["cause"],
        "rr": rr,
        "recall": recall,
        "clicked": "click" in by_kind,
        "task": by_kind.get("task_success"),
        "thumbs": by_kind.get("thumbs"),
    }


def explains_a_failure(verdict: Fact) -> bool:
    """Whether it was found while the answer counted as wrong."""
    evidence = json.loads(verdict["evidence"])
    return verdict["verdict"] not in ("ok", "lucky") and evidence.get("y", 0) == 0


def measures(found: Iterable[Fact]) -> dict[str, float]:
    """facts.py's MEASURES of some requests, added up."""
    total: Counter[str] = Counter()
    for fact in found:
        request = fact["request"]
        rr, recall = fact["rr"] or 0.0, fact["recall"] or 0.0
        total.update(
            {
                "n": 1,
                "no_answer": request.status == "no_answer",
                "errors": request.status == "error",
                "prompt_tokens": request.prompt_tokens or 0,
                "completion_tokens": request.completion_tokens or 0,
                "priced": request.cost_usd is not None,
                "cost_usd": request.cost_usd or 0.0,
                "graded": fact["y"] is not None,
                "correct": fact["y"] or 0,
                "judged": fact["rr"] is not None,
                "mrr": rr,
                "mrr2": rr * rr,
                "recall": recall,
                "recall2": recall * recall,
                "clicked": fact["clicked"],
                "tasks": fact["task"] is not None,
                "task_successes": (fact["task"] or 0) > 0,
                "thumbs": fact["thumbs"] is not None,
                "thumbs_up": (fact["thumbs"] or 0) > 0,
                **costs(request),
            }
        )
    return dict(total)


def bill(one: Request, is_paid: bool) -> float | None:
    """US dollars, in a version that pays for its generator or does not."""
    return one.cost_usd or 0.0 if one.cache_hit and is_paid else one.cost_usd


def seconds(one: Request, is_paid: bool) -> float | None:
    """Of the machine, in a version that pays for its generator or does not."""
    total = one.latency_ms.get("total")
    if one.cache_hit:
        return None if total is None else total / 1e3
    here = {
        stage: ms
        for stage, ms in one.latency_ms.items()
        if stage != "total" and not (stage == "generation" and is_paid)
    }
    if here:
        return sum(here.values()) / 1e3
    return None if is_paid or total is None else total / 1e3


def costs(one: Request) -> dict[str, float]:
    """The measures of cost_sums.py; of one that is outsized, that it is."""
    if (one.cost_usd or 0) > 1e3 or max(one.latency_ms.values(), default=0) > 86_400_000:
        return {"outsized": 1}
    usd, here, free = bill(one, True), seconds(one, True), seconds(one, False)
    priced_seconds = free if one.cost_usd is not None else None
    billed_here = here if usd is not None else None
    billed_usd = usd if here is not None else None
    return {
        "outsized": 0,
        "paid": (one.cost_usd or 0) > 0,
        "billed": usd is not None,
        "cost_usd2": (one.cost_usd or 0) ** 2,
        **_amount("timed", "seconds", free),
        **_amount("priced_timed", "priced_seconds", priced_seconds),
        **_amount("here", "here_seconds", here),
        **_amount("billed_here", "billed_seconds", billed_here),
        **_amount("billed_here", "billed_usd", billed_usd),
        "billed_usd_seconds": (billed_usd or 0) * (billed_here or 0),
    }


def _amount(count: str, name: str, value: float | None) -> dict[str, float]:
    return {count: value is not None, name: value or 0, f"{name}2": (value or 0) ** 2}


def weighed(found: Iterable[Fact]) -> dict[str, Weighed]:
    """The same, of what each request stands for too."""
    total: dict[str, Weighed] = {}
    for fact in found:
        w = fact["weight"]
        for name, value in measures([fact]).items():
            one = Weighed(value, w * value, w * w * value)
            total[name] = total.get(name, Weighed.of(0)) + one
    return total


Count = Callable[[Iterable[Fact]], dict[str, Any]]


def by_cell(
    found: Iterable[Fact], key: Callable[[Fact], Any], count: Count = measures
) -> dict[Any, dict[str, Any]]:
    cells: dict[Any, list[Fact]] = defaultdict(list)
    for fact in found:
        cells[key(fact)].append(fact)
    return {cell: count(members) for cell, members in cells.items()}


def latencies(found: Iterable[Fact]) -> dict[tuple[date, str, str, float, str], list[float]]:
    values: dict[tuple[date, str, str, float, str], list[float]] = defaultdict(list)
    for fact in found:
        request = fact["request"]
        for stage in LATENCY_STAGES:
            if stage in request.latency_ms and not request.cache_hit:
                key = (fact["day"], request.version_id, request.traffic, fact["weight"], stage)
                values[key].append(request.latency_ms[stage])
    return values
