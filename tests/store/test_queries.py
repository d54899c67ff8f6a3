"""The SELECTs behind the pages, on a toy lake."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from ragdiag.records import DEFAULT_GRADER, Grade, Passage
from ragdiag.settings import Workspace
from ragdiag.store import queries
from ragdiag.store.corpus import add_documents
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.results import save_findings
from tests.toy_lake import build_toy_lake

PRODUCTION = Filters(traffic="production")


def test_inventory_counts_what_is_there(toy_lake: Lake) -> None:
    held = queries.inventory(toy_lake)
    assert (held["passages"], held["questions"], held["versions"]) == (60, 60, 3)
    assert held["requests"] == 288 + 180
    assert held["last_asked_at"] == datetime(2025, 11, 23, 3)
    assert (held["sampled"], held["meant"]) == (0, 288 + 180)


def test_pages_of_failures_are_disjoint_and_complete(toy_lake: Lake) -> None:
    seen: list[str] = []
    for offset in range(0, 100, 25):
        page = queries.failures(toy_lake, PRODUCTION, limit=25, offset=offset)
        seen += [row["request_id"] for row in page]
    assert len(seen) == len(set(seen)) == queries.graded_counts(toy_lake, PRODUCTION)["failed"]


@pytest.mark.parametrize("order", queries.ORDERS)
def test_every_order_is_sql_and_keeps_the_rows(toy_lake: Lake, order: str) -> None:
    rows = queries.failures(toy_lake, PRODUCTION, order=order, limit=1000)
    assert len(rows) == 86


def test_orders_mean_what_they_say(toy_lake: Lake) -> None:
    slow = queries.failures(toy_lake, PRODUCTION, order="slowest first", limit=1000)
    assert [r["total_ms"] for r in slow] == sorted((r["total_ms"] for r in slow), reverse=True)
    old = queries.failures(toy_lake, PRODUCTION, order="oldest first", limit=1000)
    assert [r["asked_at"] for r in old] == sorted(r["asked_at"] for r in old)


def test_counts_by_verdict_add_up_and_name_what_is_not_diagnosed(toy_lake: Lake) -> None:
    counts = {r["name"]: r["n"] for r in queries.failure_counts(toy_lake, PRODUCTION, "verdict")}
    assert sum(counts.values()) == 86
    assert counts["corpus"] == 12
    assert counts[queries.NOT_DIAGNOSED] == 7
    waiting = Filters(traffic="production", verdict=queries.NOT_DIAGNOSED)
    assert len(queries.failures(toy_lake, waiting)) == 7


def test_filters_combine(toy_lake: Lake) -> None:
    week = Filters(traffic="production", week=date(2025, 11, 17))
    assert queries.graded_counts(toy_lake, week)["n"] == 24
    narrow = Filters(traffic="production", week=date(2025, 11, 17), cause="corpus_gap")
    assert len(queries.failures(toy_lake, narrow)) == 12
    none = Filters(traffic="production", topic="'; drop table requests; --")
    assert queries.failures(toy_lake, none) == []


def test_text_is_searched_as_it_stands(toy_lake: Lake) -> None:
    assert queries.graded_counts(toy_lake, Filters(text="<SCRIPT>"))["n"] > 0
    assert queries.graded_counts(toy_lake, Filters(text="%"))["n"] == 0


def test_versions_come_oldest_first_and_evaluated_ones_with_their_split(toy_lake: Lake) -> None:
    names = queries.version_names(toy_lake)
    assert list(names.values()) == ["lexical", "dense", "hybrid"]
    assert queries.evaluated(toy_lake) == {version_id: ["test"] for version_id in names}


def test_gold_and_what_was_said(toy_lake: Lake) -> None:
    assert queries.gold_of(toy_lake, "q05") == {"grades": {"doc0#5": 1}, "answers": ("It is 5.",)}
    assert queries.gold_of(toy_lake, "unknown") == {"grades": {}, "answers": ()}
    said = queries.said_about(toy_lake, "p-10-05")
    assert said["verdicts"][0]["verdict"] == "packing"
    assert [(r["arm"], r["draw"]) for r in said["replays"]] == [
        ("g", 0), ("g+", 0), ("none", 0), ("r", 0), ("r", 1), ("s", 0),
    ]  # fmt: skip
    assert {row["kind"] for row in said["feedback"]} >= {"task_success"}


def test_only_the_latest_grade_counts(workspace: Workspace) -> None:
    lake = build_toy_lake(workspace)
    before = queries.graded_counts(lake, PRODUCTION)["failed"]
    save_findings(lake, grades=[Grade("p-10-05", DEFAULT_GRADER, 1, 1.0)])
    assert queries.graded_counts(lake, PRODUCTION)["failed"] == before - 1
    save_findings(lake, grades=[Grade("p-10-04", "numeric-v1", 1, 1.0)])
    assert queries.graded_counts(lake, PRODUCTION)["failed"] == before - 1


def test_passages_are_read_as_they_were(workspace: Workspace) -> None:
    lake = build_toy_lake(workspace)
    add_documents(lake, [Passage("doc0#0", "doc0", "New text.", "Chapter 0", 0)])
    now = queries.passages_at(lake, ["doc0#0", "doc0#1"], datetime(2100, 1, 1))
    assert now["doc0#0"]["text"] == "New text."
    assert now["doc0#1"]["removed_at"] is not None
    assert queries.passages_at(lake, [], datetime(2100, 1, 1)) == {}
