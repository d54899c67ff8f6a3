"""Whatever is done to the lake, in whatever order, the rollups are what its rows add up to."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
import pytest

from ragdiag.drift.latency import stage_quantiles
from ragdiag.records import (
    DEFAULT_GRADER,
    Diagnosis,
    Feedback,
    Grade,
    Hit,
    Judgment,
    Passage,
    Question,
    Request,
    Weighed,
)
from ragdiag.settings import Workspace
from ragdiag.store import latency_trends, queries, trends
from ragdiag.store.corpus import add_documents, add_judgments, add_questions
from ragdiag.store.facts import CELL, MEASURES
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.queries import Filters
from ragdiag.store.results import save_findings
from ragdiag.store.rollups import fill_rollups, recounted
from ragdiag.store.spool import SpoolWriter
from ragdiag.timing import BUCKET_BASE, RELATIVE_ERROR
from tests.store import plain_counts
from tests.store.plain_counts import GRADERS, Fact, by_cell, facts

START = datetime(2026, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.slow

QUESTIONS = ("q0", "q1", "q2")
PASSAGES = tuple(f"p{n}" for n in range(12))


class Story:
    """Random things that happen to a lake, in a random order."""

    def __init__(self, lake: Lake, workspace: Workspace, seed: int) -> None:
        self.lake, self.workspace, self.chance = lake, workspace, random.Random(seed)
        self.said = 0
        add_documents(lake, [Passage(name, name, "text") for name in PASSAGES])
        add_questions(lake, [Question(name, f"What is {name}?") for name in QUESTIONS])

    def act(self) -> None:
        deed = self.chance.choice(
            [self.log, self.log, self.grade, self.diagnose, self.judge, self.expire]
        )
        deed()

    def some_id(self) -> str:
        """Of a request that is there, is yet to come, or is gone."""
        return f"r{self.chance.randrange(40)}"

    def request(self) -> Request:
        chance = self.chance
        ranking = tuple(Hit(p, 1.0) for p in chance.choices(PASSAGES, k=chance.randrange(12)))
        return Request(
            request_id=self.some_id(),
            asked_at=START + timedelta(hours=chance.randrange(500)),
            version_id=chance.choice(["v1", "v2"]),
            traffic=chance.choice(["production", "canary"]),
            question=chance.choice(["What is this?", "Why is that?"]),
            question_id=chance.choice([None, *QUESTIONS]),
            topic=chance.choice(["a", "b"]),
            status=chance.choice(["ok", "no_answer", "error"]),
            cache_hit=chance.random() < 0.2,
            prompt_tokens=chance.choice([None, 100]),
            cost_usd=chance.choice([None, 0.125]),
            latency_ms=chance.choice(
                [{}, {"total": 0.0}, {"dense": 1.0, "total": chance.uniform(1, 900)}]
            ),
            keep_probability=chance.choice([1.0, 0.3, 0.0625]),
            fused=ranking,
            reranked=ranking[::-1] if chance.random() < 0.3 else None,
        )

    def log(self) -> None:
        with SpoolWriter(self.workspace) as spool:
            for _ in range(self.chance.randrange(1, 12)):
                spool.write(self.request())
                self.said += 1
                kind, value = self.chance.choice([("click", 1), ("task_success", 0), ("thumbs", 1)])
                at = START + timedelta(minutes=self.chance.randrange(5))
                spool.write(
                    Feedback(
                        f"f{self.said}",
                        self.some_id(),
                        at,
                        kind,  # type: ignore[arg-type]
                        value,
                        certain=self.chance.random() < 0.3,
                    )
                )
                spool.write(Grade(self.some_id(), DEFAULT_GRADER, self.chance.randrange(2), 0.5))
        ingest(self.lake, self.workspace)

    def grade(self) -> None:
        chance = self.chance
        save_findings(
            self.lake,
            grades=[
                Grade(
                    self.some_id(),
                    chance.choice([*GRADERS, "numeric-v1"]),
                    chance.choice([None, 0, 0, 1]),
                    chance.choice([None, 0.25]),
                )
                for _ in range(8)
            ],
        )

    def diagnose(self) -> None:
        verdicts: list[Any] = [
            ("retrieval", "recall_miss"),
            ("generator", "in_context"),
            ("ok", "in_context"),
        ]
        diagnoses = []
        for _ in range(8):
            verdict, cause = self.chance.choice(verdicts)
            diagnoses.append(Diagnosis(self.some_id(), cause, verdict, "g", "A", {}))
        save_findings(self.lake, diagnoses=diagnoses)

    def judge(self) -> None:
        given = {
            (self.chance.choice(QUESTIONS), self.chance.choice(PASSAGES)): self.chance.randrange(3)
            for _ in range(3)
        }
        add_judgments(self.lake, [Judgment(q, p, grade, "test") for (q, p), grade in given.items()])

    def expire(self) -> None:
        ids = [self.some_id() for _ in range(3)]

        def delete(cursor: Any) -> None:
            with recounted(cursor, ids):
                for table in ("requests", "grades", "verdicts", "feedback"):
                    cursor.execute(
                        f"delete from {table} where request_id in (select unnest(?::varchar[]))",
                        [ids],
                    )

        self.lake.write(delete)


@pytest.fixture(scope="module", params=[2, 3])
def story(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Lake, list[Fact]]]:
    workspace = Workspace(tmp_path_factory.mktemp("story") / "workspace")
    lake = open_lake(workspace, create=True)
    told = Story(lake, workspace, request.param)
    told.log()
    for _ in range(10):
        told.act()
    told.log()
    yield lake, facts(lake)
    close_lakes()


def same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    return all(is_close(found[name], expected[name]) for name in expected)


def is_close(found: Any, expected: Any) -> bool:
    if isinstance(expected, Weighed):
        return all(map(is_close, astuple(found), astuple(expected)))
    return math.isclose(found, expected, abs_tol=1e-9)


def test_rollups_are_what_the_rows_add_up_to(story: tuple[Lake, list[Fact]]) -> None:
    lake, known = story
    check_rollups(lake, known)
    grown = lake.rows("select count(*) as n from daily")[0]["n"]
    lake.write(fill_rollups)
    check_rollups(lake, known)
    assert lake.rows("select count(*) as n from daily")[0]["n"] < grown


def check_rollups(lake: Lake, known: list[Fact]) -> None:
    sums = ", ".join(f"sum({name}) as {name}" for name in MEASURES)
    rows = lake.rows(f"select {', '.join(CELL)}, {sums} from daily group by all having sum(n) <> 0")
    expected = by_cell(known, lambda f: (f["day"], *cell_of(f["request"]), f["weight"]))
    assert len(rows) == len(expected) > 0
    for row in rows:
        key = tuple(row[name] for name in CELL)
        assert same(row, expected[key]), key
    buckets = lake.rows("""
        select day, version_id, traffic, weight, stage, bucket, sum(n) as n from daily_latency
        group by all having sum(n) <> 0""")
    assert {tuple(row.values())[:6]: row["n"] for row in buckets} == plain_buckets(known)
    wrong = {f["request"].request_id: f for f in known if f["y"] == 0}
    rows = lake.rows("select * from failures")
    assert sorted(row["request_id"] for row in rows) == sorted(wrong)
    for row in rows:
        fact = wrong[row["request_id"]]
        for name in ("score", "verdict", "cause", "weight"):
            assert row[name] == fact[name]


def cell_of(request: Request) -> tuple[str, str, str]:
    return request.version_id, request.topic, request.traffic


def plain_buckets(known: list[Fact]) -> Counter[tuple[Any, ...]]:
    return Counter(
        (*key, math.ceil(math.log(ms) / math.log(BUCKET_BASE)) if ms else None)
        for key, values in plain_counts.latencies(known).items()
        for ms in values
    )


CHOICES = [
    Filters(),
    Filters(traffic="production"),
    Filters(version_id="v1", topic="a"),
    Filters(week=date(2026, 1, 5), traffic="canary"),
    Filters(text="WHY"),
    Filters(text="why", week=date(2026, 1, 5), version_id="v2"),
]


def chosen(known: list[Fact], filters: Filters) -> list[Fact]:
    kept = []
    for fact in known:
        request = fact["request"]
        wanted = [
            (filters.traffic, request.traffic),
            (filters.version_id, request.version_id),
            (filters.topic, request.topic),
            (filters.week, fact["week"]),
            (filters.verdict, fact["verdict"]),
            (filters.cause, fact["cause"]),
        ]
        if all(value is None or value == found for value, found in wanted) and (
            filters.text is None or filters.text.lower() in request.question.lower()
        ):
            kept.append(fact)
    return kept


SPLITS: dict[str, Any] = {
    "all": lambda fact: "all",
    "topic": lambda fact: fact["request"].topic,
    "version_id": lambda fact: fact["request"].version_id,
}


def test_every_named_query_equals_its_plain_definition(story: tuple[Lake, list[Fact]]) -> None:
    lake, known = story
    for filters in CHOICES:
        kept = chosen(known, filters)
        for split, segment in SPLITS.items():
            expected = by_cell(
                kept,
                lambda f, s=segment: (f["week"], s(f)),  # type: ignore[misc]
                plain_counts.weighed,
            )
            for query in (trends.weekly_outcomes, trends.weekly_feedback):
                rows = query(lake, filters, split)
                assert [(r["week"], r["segment"]) for r in rows] == sorted(expected)
                for row in rows:
                    wanted = expected[row["week"], row["segment"]]
                    assert same(row, {k: wanted[k] for k in row if k in wanted})
        check_failures(lake, filters, kept)
    traffic = Counter(fact["request"].traffic for fact in known)
    assert {row["traffic"]: row["n"] for row in queries.traffic_kinds(lake)} == traffic
    canary = chosen(known, Filters(traffic="canary"))
    weeks = {row["week"]: (row["n"], row["first_day"]) for row in queries.weeks(lake, "canary")}
    assert {week: n for week, (n, _) in weeks.items()} == Counter(f["week"] for f in canary)
    for week, (_, first) in weeks.items():
        assert first == min(f["day"] for f in canary if f["week"] == week)
    assert queries.topics(lake, "canary") == sorted({f["request"].topic for f in canary})
    assert set(queries.version_names(lake)) == {f["request"].version_id for f in known}


def segment_of(fact: Fact, by: str) -> Any:
    return fact["week"] if by == "week" else getattr(fact["request"], by)


def check_failures(lake: Lake, filters: Filters, kept: list[Fact]) -> None:
    counts = queries.graded_counts(lake, filters)
    assert counts["n"] == len(kept)
    assert counts["graded"] == sum(f["y"] is not None for f in kept)
    wrong = [f for f in kept if f["y"] == 0]
    assert counts["failed"] == len(wrong)
    for column in ("verdict", "cause"):
        rows = queries.failure_counts(lake, filters, column)  # type: ignore[arg-type]
        assert {r["name"]: r["n"] for r in rows} == Counter(f[column] for f in wrong)
        assert same({r["name"]: r["weighed"] for r in rows}, stand_for(wrong, itemgetter(column)))
    narrow = replace(filters, verdict="retrieval")
    rows = queries.failures(lake, narrow, limit=5)
    expected = sorted(
        (f["request"] for f in wrong if f["verdict"] == "retrieval"),
        key=lambda r: (-r.asked_at.timestamp(), r.request_id),
    )[:5]
    assert [(r["request_id"], r["question"]) for r in rows] == [
        (r.request_id, r.question) for r in expected
    ]
    for by in ("topic", "version_id", "week"):
        name = partial(segment_of, by=by)
        graded = stand_for((f for f in kept if f["y"] is not None), name)
        failing = stand_for((f for f in wrong if f["verdict"] == "retrieval"), name)
        found = trends.failing_segments(lake, narrow, by)  # type: ignore[arg-type]
        assert [row["name"] for row in found] == sorted(graded)
        assert same({row["name"]: row["graded"] for row in found}, graded)
        none = dict.fromkeys(graded, Weighed.of(0))
        assert same({row["name"]: row["failed"] for row in found}, none | failing)
    told = {
        (r["week"], r["verdict"], r["cause"]): r["n"] for r in trends.weekly_failures(lake, filters)
    }
    expected_weeks = stand_for(
        wrong,
        lambda f: (
            f["week"],
            *(None if f[c] == queries.NOT_DIAGNOSED else f[c] for c in ("verdict", "cause")),
        ),
    )
    assert told.keys() == expected_weeks.keys()
    assert same(told, expected_weeks)


def stand_for(found: Iterable[Fact], name: Callable[[Fact], Any]) -> dict[Any, Weighed]:
    """How many there are of each name."""
    return {
        cell: counts["n"] for cell, counts in by_cell(found, name, plain_counts.weighed).items()
    }


def test_latencies_come_with_what_they_stand_for(story: tuple[Lake, list[Fact]]) -> None:
    lake, known = story
    for filters in CHOICES:
        expected: dict[Any, list[tuple[float, float]]] = {}
        for fact in chosen(known, filters):
            request = fact["request"]
            if "total" in request.latency_ms and not request.cache_hit:
                cell = expected.setdefault((fact["week"], request.version_id), [])
                cell.append((request.latency_ms["total"], fact["weight"]))
        rows = latency_trends.weekly_latency(lake, filters)
        assert [(row["week"], row["segment"]) for row in rows] == sorted(expected)
        for row in rows:
            weights = row["weights"] or [1.0] * len(row["values"])
            pairs = sorted(zip(row["values"], weights, strict=True))
            assert row["values"] == sorted(row["values"])
            plain = sorted(expected[row["week"], row["segment"]])
            assert np.array(pairs) == pytest.approx(np.array(plain))


def test_quantiles_from_buckets_stay_within_the_stated_error(
    story: tuple[Lake, list[Fact]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, _ = story
    for filters in CHOICES:
        for split in SPLITS:
            exact = stage_quantiles(lake, filters, split)  # type: ignore[arg-type]
            with monkeypatch.context() as patched:
                patched.setattr(latency_trends, "EXACT_ROWS", -1)
                near = stage_quantiles(lake, filters, split)  # type: ignore[arg-type]
            assert [(r.stage, r.segment) for r in near] == [(r.stage, r.segment) for r in exact]
            for one, other in zip(exact, near, strict=True):
                for name, sure in one.quantiles.items():
                    found = other.quantiles[name]
                    assert found.n == sure.n
                    assert found.reason is not None
                    assert "from a histogram" in found.reason
                    assert found.value == pytest.approx(sure.value, rel=RELATIVE_ERROR + 1e-9)
                    assert math.isnan(sure.low) == math.isnan(found.low)
                    if not math.isnan(sure.low):
                        assert found.low <= sure.low * (1 + 1e-9)
                        assert found.high >= sure.high * (1 - 1e-9)
