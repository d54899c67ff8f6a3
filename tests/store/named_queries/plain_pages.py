"""What the pages list and count: store/queries.py."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from ragdiag.records import Weighed
from ragdiag.store import queries
from ragdiag.store.queries import NOT_DIAGNOSED, Filters
from tests.store.named_queries.known import Given, Known, Row, given, in_order, newest_first, plain
from tests.store.named_queries.plain_corpus import NAMES
from tests.store.named_queries.random_store import QUESTIONS, START, TRAFFIC
from tests.store.plain_counts import Fact, explains_a_failure

FILTERS = (
    Filters(),
    Filters(traffic="production"),
    Filters(version_id="foreign", topic="a"),
    Filters(week=date(2026, 1, 5), traffic="canary"),
    Filters(text="WHY"),
    Filters(text="what", week=date(2026, 1, 5)),
)
NARROW = (
    *FILTERS,
    Filters(verdict="retrieval"),
    Filters(verdict=NOT_DIAGNOSED, traffic="production"),
    Filters(cause="recall_miss"),
    Filters(second_level="vocabulary"),
)


def each(*filters: Filters) -> list[Given]:
    return [given(one) for one in filters]


def wrong(known: Known, filters: Filters) -> list[Fact]:
    return [fact for fact in known.passing(filters) if fact["y"] == 0]


def stand_for(facts: list[Fact]) -> Weighed:
    return Weighed.counted([fact["weight"] for fact in facts])


@plain(queries.inventory)
def inventory(known: Known) -> Row:
    people = [one.asked_at for one in known.requests if one.traffic not in ("evaluation", "replay")]
    last = max(people or [one.asked_at for one in known.requests])
    weights = [fact["weight"] for fact in known.facts]
    return {
        "passages": len(known.current),
        "questions": len(known["questions"]),
        "versions": len({row["version_id"] for row in known["versions"]}),
        "builds": len(known["index_builds"]),
        "requests": len(known.requests),
        "last_asked_at": last.replace(tzinfo=None),
        "sampled": sum(weight > 1 for weight in weights),
        "meant": sum(weights),
    }


@plain(queries.traffic_kinds)
def traffic_kinds(known: Known) -> list[Row]:
    counts = Counter(one.traffic for one in known.requests)
    graded = Counter(one["request"].traffic for one in known.facts if one["y"] is not None)
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [{"traffic": kind, "n": n, "graded": graded[kind]} for kind, n in ordered]


@plain(queries.version_names)
def version_names(known: Known) -> dict[str, str]:
    """Saved ones in the order in which they were, then those that only requests name."""
    saved = {
        row["version_id"]: row["name"]
        for row in sorted(known["versions"], key=in_order("created_at"))
    }
    served = sorted({one.version_id for one in known.requests} - saved.keys())
    return saved | {version_id: version_id for version_id in served}


@plain(queries.weeks, lambda _: [given(one) for one in (*TRAFFIC, "none")])
def weeks(known: Known, traffic: str) -> list[Row]:
    found: dict[date, list[date]] = {}
    for fact in known.passing(Filters(traffic=traffic)):
        found.setdefault(fact["week"], []).append(fact["day"])
    return [
        {"week": week, "n": len(days), "first_day": min(days), "last_day": max(days)}
        for week, days in sorted(found.items(), reverse=True)
    ]


@plain(queries.topics, lambda _: [given(one) for one in TRAFFIC])
def topics(known: Known, traffic: str) -> list[str]:
    facts = known.passing(Filters(traffic=traffic))
    return sorted({fact["request"].topic for fact in facts} - {""})


@plain(queries.evaluated)
def evaluated(known: Known) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for request in known.requests:
        if request.traffic == "evaluation":
            for split, question_id in known.members:
                if question_id == request.question_id:
                    found.setdefault(request.version_id, set()).add(split)
    return {version_id: sorted(splits) for version_id, splits in found.items()}


def failure(known: Known, fact: Fact) -> Row:
    request = fact["request"]
    diagnosed = fact["verdict"] != NOT_DIAGNOSED
    return {
        "request_id": request.request_id,
        "asked_at": request.asked_at.replace(tzinfo=None),
        "version_id": request.version_id,
        "topic": request.topic,
        "traffic": request.traffic,
        "question": request.question,
        "status": request.status,
        "total_ms": request.latency_ms.get("total"),
        "score": fact["score"],
        "verdict": fact["verdict"],
        "cause": fact["cause"],
        "verified_fix": known.verdicts[request.request_id]["verified_fix"] if diagnosed else "",
        "weight": fact["weight"],
    }


def of_nearest(row: Row) -> float:
    return float("inf") if row["score"] is None else -row["score"]


def of_slowest(row: Row) -> float:
    return float("inf") if row["total_ms"] is None else -row["total_ms"]


ORDERS: dict[str, Any] = {
    "newest first": lambda row: 0,
    "worst answer first": in_order("score"),
    "nearest miss first": of_nearest,
    "slowest first": of_slowest,
    "topic": in_order("topic"),
    "verdict": in_order("verdict", "cause"),
}
"""What comes before the time, by the name of the order."""


@plain(
    queries.failures,
    lambda _: [
        *each(*NARROW),
        *(given(Filters(), order=order, limit=9, offset=3) for order in queries.ORDERS),
    ],
)
def failures(
    known: Known,
    filters: Filters,
    *,
    order: str = "newest first",
    limit: int = 50,
    offset: int = 0,
) -> list[Row]:
    rows = [failure(known, fact) for fact in wrong(known, filters)]
    if order == "oldest first":
        ordered = sorted(rows, key=in_order("asked_at", "request_id"))
    else:
        ordered = sorted(newest_first(rows, "asked_at", "request_id"), key=ORDERS[order])
    return ordered[offset : offset + limit]


@plain(
    queries.failure_counts,
    lambda _: [
        given(filters, column)
        for filters in FILTERS
        for column in ("verdict", "cause", "topic", "version_id")
    ],
)
def failure_counts(known: Known, filters: Filters, column: str) -> list[Row]:
    found: dict[str, list[Fact]] = {}
    for fact in wrong(known, filters):
        found.setdefault(failure(known, fact)[column], []).append(fact)
    rows = [
        {"name": name, "n": len(facts), "weighed": stand_for(facts)}
        for name, facts in found.items()
    ]
    return sorted(rows, key=lambda row: (-row["n"], row["name"]))


@plain(queries.second_levels, lambda known: [given([*known.request, "unknown"]), given([])])
def second_levels(known: Known, names: list[str]) -> dict[str, str]:
    return {
        name: row["second_level"]
        for name, row in known.verdicts.items()
        if name in names and row["second_level"] is not None and explains_a_failure(row)
    }


@plain(
    queries.replayed_failures,
    lambda _: [given(filters, most) for filters in NARROW for most in (3, 100)],
)
def replayed_failures(known: Known, filters: Filters, most: int) -> list[Row]:
    rows = [failure(known, fact) for fact in wrong(known, filters)]
    diagnosed = [row for row in rows if row["verdict"] != NOT_DIAGNOSED]
    return [
        {name: row[name] for name in ("request_id", "topic", "verified_fix")}
        | {"question_id": known.request[row["request_id"]].question_id}
        | {"evidence": known.verdicts[row["request_id"]]["evidence"]}
        for row in newest_first(diagnosed, "asked_at", "request_id")[:most]
    ]


@plain(
    queries.recent_with_judgments,
    lambda _: [given(filters, most) for filters in NARROW for most in (3, 100)],
)
def recent_with_judgments(known: Known, filters: Filters, most: int) -> list[str]:
    relevant = {row["question_id"] for row in known["judgments"] if row["grade"] > 0}
    told = replace(filters, verdict=None, cause=None, second_level=None)
    rows = [
        known.row[fact["request"].request_id]
        for fact in known.passing(told)
        if fact["request"].question_id in relevant and fact["request"].status != "error"
    ]
    return [row["request_id"] for row in newest_first(rows, "asked_at", "request_id")[:most]]


@plain(queries.tier_counts, lambda _: each(*NARROW))
def tier_counts(known: Known, filters: Filters) -> list[Row]:
    tiers = Counter(
        known.verdicts[fact["request"].request_id]["tier"]
        for fact in wrong(known, filters)
        if fact["verdict"] != NOT_DIAGNOSED
    )
    return [{"tier": tier, "n": n} for tier, n in sorted(tiers.items())]


@plain(queries.graded_counts, lambda _: each(*FILTERS))
def graded_counts(known: Known, filters: Filters) -> Row:
    facts = known.passing(filters)
    graded = [fact for fact in facts if fact["y"] is not None]
    return {
        "n": len(facts),
        "graded": len(graded),
        "failed": len(wrong(known, filters)),
        "meant": float(sum(fact["weight"] for fact in facts)),
        "meant_graded": float(sum(fact["weight"] for fact in graded)),
        "meant_correct": float(sum(fact["weight"] for fact in graded if fact["y"])),
    }


@plain(queries.gold_of, lambda _: [given(name) for name in (*QUESTIONS, "unknown")])
def gold_of(known: Known, question_id: str) -> Row:
    grades: dict[str, int] = {}
    for row in known["judgments"]:
        if row["question_id"] == question_id:
            grades[row["passage_id"]] = max(row["grade"], grades.get(row["passage_id"], 0))
    golds = [row for row in known["gold_answers"] if row["question_id"] == question_id]
    return {"grades": grades, "answers": tuple(golds[0]["answers"]) if golds else ()}


def moments(known: Known) -> list[Given]:
    written = sorted(row["ingested_at"] for row in known["passages"])
    times = (START.replace(tzinfo=None), written[len(written) // 2], datetime(2100, 1, 1))
    return [given(NAMES, at) for at in times]


@plain(queries.passages_at, moments)
def passages_at(known: Known, names: list[str], at: datetime) -> dict[str, Row]:
    """Nearest in time among those that were there already, else the nearest later; what the corpus
    never had, as it was logged nearest."""
    columns = ("passage_id", "document_id", "title", "text")

    def nearest(rows: list[Row], time: str) -> Row:
        return min(rows, key=lambda row: (row[time] > at, abs(row[time] - at)))

    found = {}
    for name in names:
        own = [row for row in known["passages"] if row["passage_id"] == name]
        logged = [row for row in known["logged_passages"] if row["passage_id"] == name]
        if own:
            row = nearest(own, "ingested_at")
            found[name] = {column: row[column] for column in (*columns, "removed_at")}
        elif logged:
            row = min(logged, key=lambda r: (abs(r["logged_at"] - at), r["content_hash"]))
            found[name] = {column: row[column] for column in columns} | {"removed_at": None}
    return found


def last_draws(rows: list[Row]) -> list[Row]:
    found: dict[tuple[str, int], Row] = {}
    for row in sorted(rows, key=in_order("replayed_at")):
        found[row["arm"], row["draw"]] = row
    return [found[key] for key in sorted(found)]


@plain(queries.said_about, lambda known: [given(name) for name in [*list(known.request)[:9], "?"]])
def said_about(known: Known, name: str) -> dict[str, list[Row]]:
    said = {
        "grades": [row for _, row in sorted(known.grades.items()) if row["request_id"] == name],
        "verdicts": [row for key, row in known.verdicts.items() if key == name],
        "replays": last_draws([row for row in known["replays"] if row["request_id"] == name]),
        "feedback": sorted(
            (row for row in known["feedback"] if row["request_id"] == name),
            key=in_order("given_at", "feedback_id"),
        ),
    }
    columns = {
        "grades": ("grader", "y", "score", "status", "reason", "sentences", "graded_at"),
        "verdicts": (
            *("cause", "verdict", "verified_fix", "tier", "evidence"),
            *("second_level", "diagnosed_at"),
        ),
        "replays": ("arm", "draw", "answer", "y", "score", "passage_ids"),
        "feedback": ("kind", "value", "passage_id", "given_at"),
    }
    return {
        table: [{column: row[column] for column in columns[table]} for row in rows]
        for table, rows in said.items()
    }
