"""What was refused and what is odd, as people read it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from ragdiag.store.lake import Lake
from ragdiag.store.rejects import Noted, list_noted
from ragdiag.store.times import to_naive_utc

NOW = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def told(lake: Lake) -> Lake:
    """Five rejects, a minute apart and of two sources, and a remark amid them."""

    def insert(cursor: duckdb.DuckDBPyConnection) -> None:
        for n in range(5):
            row = [f"{n % 2}.jsonl", n, f"reason {n}", "a body", minute(n)]
            cursor.execute("insert into rejects values (?, ?, ?, ?, ?)", row)
        remark = ["1.jsonl", 9, "ahead", minute(2.5)]
        cursor.execute("insert into remarks values (?, ?, ?, ?)", remark)

    lake.write(insert)
    return lake


def minute(n: float) -> datetime:
    return to_naive_utc(NOW + timedelta(minutes=n))


def test_the_newest_come_first_and_all_are_counted(told: Lake) -> None:
    found = list_noted(told, limit=3)
    assert [(one.kind, one.line) for one in found.newest] == [
        ("reject", 4),
        ("reject", 3),
        ("remark", 9),
    ]
    assert found.newest[0] == Noted(NOW + timedelta(minutes=4), "reject", "0.jsonl", 4, "reason 4")
    assert (found.rejects, found.remarks) == (5, 1)


def test_a_part_of_the_source_chooses(told: Lake) -> None:
    found = list_noted(told, source="0.js")
    assert [one.line for one in found.newest] == [4, 2, 0]
    assert (found.rejects, found.remarks) == (3, 0)
    assert list_noted(told, source="%").newest == ()
