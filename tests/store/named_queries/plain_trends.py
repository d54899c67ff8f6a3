"""What is counted week by week: outcomes, failures, latencies, degradation, costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime, timedelta
from hashlib import md5
from typing import Any

from ragdiag.records import LATENCY_STAGES, Request, Weighed
from ragdiag.store import degradation, latency_trends, outcomes, spending, trends
from ragdiag.store.outcomes import Outcome
from ragdiag.store.queries import NOT_DIAGNOSED, Filters
from tests.store import plain_counts
from tests.store.named_queries.known import Given, Known, Row, given, in_order, plain
from tests.store.named_queries.plain_pages import FILTERS, NARROW, each, stand_for, wrong
from tests.store.named_queries.plain_said import own_grade
from tests.store.named_queries.random_store import START
from tests.store.plain_counts import Fact, bill, by_cell, seconds

SPLITS = ("all", "topic", "version_id")


def segment(fact: Fact, split: str) -> Any:
    if split == "week":
        return fact["week"]
    return "all" if split == "all" else getattr(fact["request"], split)


def grouped(facts: list[Fact], key: Callable[[Fact], Any]) -> dict[Any, list[Fact]]:
    """In the order of the keys."""
    found = by_cell(facts, key, lambda members: {"members": list(members)})
    return {cell: found[cell]["members"] for cell in sorted(found)}


def split_filters(_: Known) -> list[Given]:
    return [given(filters, split) for filters in FILTERS for split in SPLITS]


def weekly(known: Known, filters: Filters, split: str, *measures: str) -> list[Row]:
    cells = grouped(known.passing(filters), lambda fact: (fact["week"], segment(fact, split)))
    rows = []
    for (week, name), facts in cells.items():
        sums = plain_counts.weighed(facts)
        rows.append({"week": week, "segment": name} | {one: sums[one] for one in measures})
    return rows


@plain(trends.weekly_outcomes, split_filters)
def weekly_outcomes(known: Known, filters: Filters, split: str) -> list[Row]:
    counts = ("n", "graded", "correct", "no_answer", "errors")
    return weekly(known, filters, split, *counts, "judged", "mrr", "mrr2", "recall", "recall2")


@plain(trends.weekly_feedback, split_filters)
def weekly_feedback(known: Known, filters: Filters, split: str) -> list[Row]:
    kinds = ("n", "clicked", "tasks", "task_successes", "thumbs", "thumbs_up")
    return weekly(known, filters, split, *kinds)


WINDOWS = ((date(2026, 1, 5),), (date(2025, 12, 29), date(2026, 1, 12)), ())


@plain(
    trends.scatter_by_user,
    lambda _: [
        given(filters, weeks, split)
        for filters in FILTERS
        for weeks in WINDOWS
        for split in SPLITS
        if weeks != () or split == "all"
    ],
)
def scatter_by_user(
    known: Known, filters: Filters, weeks: tuple[date, ...], split: str
) -> list[Row]:
    facts = [fact for fact in known.passing(filters) if fact["week"] in weeks]
    rows: list[Row] = []
    for name, members in grouped(facts, lambda fact: segment(fact, split)).items():
        rows.append({"segment": name})
        users = by_cell(
            members,
            lambda fact: fact["request"].user_key or fact["request"].request_id,
            plain_counts.weighed,
        )
        for measure, (y, n) in trends.OWNED.items():
            pairs = [(sums[y].weighted, sums[n].weighted) for sums in users.values()]
            rows[-1][measure] = {
                "owners": sum(size > 0 for _, size in pairs),
                "largest": int(max(sums[n].plain for sums in users.values())),
                "n": math.fsum(size for _, size in pairs),
                "y": math.fsum(total for total, _ in pairs),
                "nn": math.fsum(size * size for _, size in pairs),
                "yn": math.fsum(total * size for total, size in pairs),
                "yy": math.fsum(total * total for total, _ in pairs),
            }
    return rows


@plain(trends.weekly_failures, lambda _: each(*NARROW))
def weekly_failures(known: Known, filters: Filters) -> list[Row]:
    def named(value: str) -> str | None:
        return None if value == NOT_DIAGNOSED else value

    cells = grouped(wrong(known, filters), lambda f: (f["week"], f["verdict"], f["cause"]))
    rows = [
        {"week": week, "verdict": named(verdict), "cause": named(cause), "n": stand_for(facts)}
        for (week, verdict, cause), facts in cells.items()
    ]
    return sorted(
        rows,
        key=lambda row: (row["week"], -row["n"].plain, row["verdict"] or "~", row["cause"] or "~"),
    )


def heeding_neither(filters: Filters) -> Filters:
    """The same without verdict and cause."""
    return Filters(
        filters.traffic, filters.version_id, filters.topic, filters.week, text=filters.text
    )


def failing(known: Known, filters: Filters, key: Callable[[Fact], Any]) -> list[Row]:
    """By ``key``, where it is known: graded answers and failed ones."""
    graded = [f for f in known.passing(heeding_neither(filters)) if f["y"] is not None]
    failed = grouped([f for f in wrong(known, filters) if key(f) is not None], key)
    return [
        {"graded": stand_for(facts), "failed": stand_for(failed.get(name, [])), "of": name}
        for name, facts in grouped([f for f in graded if key(f) is not None], key).items()
    ]


def renamed(rows: list[Row], name: str) -> list[Row]:
    return [{name: row.pop("of"), **row} for row in rows]


@plain(
    trends.failing_segments,
    lambda _: [given(filters, by) for filters in NARROW for by in ("topic", "version_id", "week")],
)
def failing_segments(known: Known, filters: Filters, by: str) -> list[Row]:
    return renamed(failing(known, filters, lambda fact: segment(fact, by)), "name")


@plain(trends.failing_questions, lambda _: each(*NARROW))
def failing_questions(known: Known, filters: Filters) -> list[Row]:
    rows = failing(known, filters, lambda fact: fact["request"].question_id)
    return renamed(rows, "question_id")


def latencies(
    known: Known,
    filters: Filters,
    stages: tuple[str, ...],
    key: Callable[[Fact], tuple[Any, Any]],
    *,
    hits: bool = False,
) -> list[Row]:
    facts = known.passing(filters)
    sampled = any(fact["weight"] != 1 for fact in facts)
    rows = []
    for (week, name), members in grouped(facts, key).items():
        for stage in sorted(stages):
            pairs = sorted(
                (fact["request"].latency_ms[stage], fact["weight"])
                for fact in members
                if fact["request"].cache_hit == hits and stage in fact["request"].latency_ms
            )
            if pairs:
                rows.append(
                    {
                        "week": week,
                        "segment": name,
                        "stage": stage,
                        "values": [ms for ms, _ in pairs],
                        "weights": [weight for _, weight in pairs] if sampled else None,
                        "buckets": None,
                    }
                )
    return rows


@plain(
    latency_trends.weekly_latency,
    lambda _: [
        given(filters, stages, split)
        for filters in FILTERS
        for stages, split in ((("total",), "version_id"), (("total", "lexical", "dense"), "topic"))
    ],
)
def weekly_latency(
    known: Known, filters: Filters, stages: tuple[str, ...], split: str
) -> list[Row]:
    return latencies(known, filters, stages, lambda f: (f["week"], segment(f, split)))


@plain(latency_trends.stage_latency, split_filters)
def stage_latency(known: Known, filters: Filters, split: str) -> list[Row]:
    rows = latencies(known, filters, LATENCY_STAGES, lambda f: (None, segment(f, split)))
    return sorted(rows, key=lambda row: LATENCY_STAGES.index(row["stage"]))


@plain(
    latency_trends.total_latency,
    lambda _: [given(one, "topic", hits=hits) for one in FILTERS for hits in (True, False)],
)
def total_latency(known: Known, filters: Filters, split: str, *, hits: bool) -> list[Row]:
    return latencies(known, filters, ("total",), lambda f: (None, segment(f, split)), hits=hits)


@plain(degradation.weekly_degradation, lambda _: each(*FILTERS))
def weekly_degradation(known: Known, filters: Filters) -> list[Row]:
    def reasons(fact: Fact) -> set[str]:
        parts = (fact["request"].degraded_reason or "").split(";")
        return {part.strip() for part in parts} - {""}

    rows = []
    for week, facts in grouped(known.passing(filters), lambda fact: fact["week"]).items():
        total = stand_for(facts)
        some = stand_for([fact for fact in facts if reasons(fact)])
        rows.append({"week": week, "reason": None, "n": some, "total": total})
        for reason in sorted({name for fact in facts for name in reasons(fact)}):
            n = stand_for([fact for fact in facts if reason in reasons(fact)])
            rows.append({"week": week, "reason": reason, "n": n, "total": total})
    return rows


@plain(spending.spent, lambda _: [given(filters, 0.01) for filters in FILTERS])
def spent(known: Known, filters: Filters, usd_per_second: float) -> list[Row]:
    rows = []
    by_version = grouped(known.passing(filters), lambda fact: fact["request"].version_id)
    for version_id, facts in by_version.items():
        is_paid = any((fact["request"].cost_usd or 0) > 0 for fact in facts)
        row: Row = {"version_id": version_id}
        for name, amount in (
            ("bill", lambda one, paid: bill(one, paid)),
            ("seconds", lambda one, paid: seconds(one, paid)),
            ("both", lambda one, paid: both(one, paid, usd_per_second)),
        ):
            found = [(f["weight"], amount(f["request"], is_paid)) for f in facts]
            there = [(weight, value) for weight, value in found if value is not None]
            row[f"{name}_n"] = summed([(weight, 1.0) for weight, _ in there])
            row[name] = summed(there) if there else Weighed(None, None, None)  # type: ignore[arg-type]
            squares = [(weight, value * value) for weight, value in there]
            row[f"{name}2"] = summed(squares) if there else row[name]
        rows.append(row)
    return rows


def summed(pairs: list[tuple[float, float]]) -> Weighed:
    return Weighed(
        sum(value for _, value in pairs),
        sum(weight * value for weight, value in pairs),
        sum(weight * weight * value for weight, value in pairs),
    )


def both(one: Request, is_paid: bool, usd_per_second: float) -> float | None:
    usd, spent_s = bill(one, is_paid), seconds(one, is_paid)
    return None if usd is None or spent_s is None else usd + spent_s * usd_per_second


MIDDLE = START + timedelta(hours=250)
BOTH = ("production", "canary")


@plain(
    outcomes.load_outcomes,
    lambda known: [
        given("foreign", ("production", "canary", "evaluation")),
        given("foreign", BOTH, since=MIDDLE),
        given("foreign", BOTH, until=MIDDLE),
        given("foreign", BOTH, request_ids=list(known.request)[::2]),
        given("foreign", BOTH, first=3),
        given("foreign", BOTH, last=3),
    ],
)
def load_outcomes(
    known: Known,
    version_id: str,
    traffic: tuple[str, ...],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    request_ids: list[str] | None = None,
    first: int | None = None,
    last: int | None = None,
) -> list[Outcome]:
    chosen = [
        one
        for one in sorted(known.requests, key=lambda one: (one.asked_at, one.request_id))
        if one.version_id == version_id
        and one.traffic in traffic
        and (since is None or one.asked_at >= since)
        and (until is None or one.asked_at < until)
        and (request_ids is None or one.request_id in request_ids)
    ]
    chosen = chosen[:first] if first is not None else chosen[-(last or len(chosen)) :]
    return [outcome(known, one) for one in chosen]


def outcome(known: Known, one: Request) -> Outcome:
    grade = own_grade(known, one.request_id) or {}
    thumbs = [
        row["value"]
        for row in sorted(known["feedback"], key=in_order("given_at", "feedback_id"))
        if row["request_id"] == one.request_id and row["kind"] == "thumbs"
    ]
    rel = known.row[one.request_id]["rel"]
    score, cost = grade.get("score"), one.cost_usd
    return Outcome(
        request_id=one.request_id,
        asked_at=one.asked_at,
        owner=one.user_key or one.request_id,
        question=one.question_id or md5(one.question.encode()).hexdigest(),
        question_id=one.question_id,
        status=one.status,
        total_ms=math.nan if one.cache_hit else one.latency_ms.get("total", math.nan),
        processing_ms=processing_ms(one),
        cost_usd=math.nan if one.cache_hit or cost is None else cost,
        y=grade.get("y"),
        score=math.nan if score is None else score,
        rel=None if rel is None else tuple(rel),
        thumbs=int(thumbs[-1]) if thumbs else None,
        cache_hit=one.cache_hit,
        keep_probability=one.keep_probability,
    )


def processing_ms(one: Request) -> float:
    total = one.latency_ms.get("total", math.nan)
    if one.cache_hit:
        return math.nan
    if one.degraded_reason is None and {"packing", "generation"} <= one.latency_ms.keys():
        return sum(ms for stage, ms in one.latency_ms.items() if stage != "total")
    return total if one.degraded_reason is not None or one.status != "error" else math.nan
