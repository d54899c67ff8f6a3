"""Whatever is done to the lake, in whatever order, the rollups are what its rows add up to."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ragdiag.drift.latency import stage_quantiles
from ragdiag.records import (
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
from ragdiag.store import latency_trends
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
from tests.store.plain_counts import GRADERS, OWN, Fact, by_cell, facts

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
                spool.write(
                    Grade(self.some_id(), self.chance.choice(OWN), self.chance.randrange(2), 0.5)
                )
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


SPLITS = ("all", "topic", "version_id")


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
