from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import duckdb
import pytest

from ragdiag.errors import InputError, StoreError, UnknownName
from ragdiag.records import DEFAULT_GRADER, Grade
from ragdiag.store.lake import Lake
from ragdiag.store.latency_trends import weekly_latency
from ragdiag.store.queries import Filters
from ragdiag.store.results import save_findings
from ragdiag.store.trends import weekly_outcomes
from ragdiag.store.upkeep.compact import compact_store
from ragdiag.store.upkeep.expiry import expire_requests
from ragdiag.store.upkeep.past import PastLake
from ragdiag.store.upkeep.snapshots import (
    drop_names,
    find_snapshot,
    name_snapshot,
    named_snapshots,
    snapshot_times,
)

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)


def numbers(lake: Lake) -> object:
    """What a weekly report says; filters outside of what is there now must still find rows."""
    weeks = [
        Filters(),
        Filters(week=MONDAY.date()),
        Filters(week=MONDAY.date() + timedelta(days=7)),
    ]
    return [(weekly_outcomes(lake, week), weekly_latency(lake, week)) for week in weeks]


def grade_all(lake: Lake, y: int) -> None:
    rows = lake.rows("select request_id from requests")
    save_findings(lake, grades=[Grade(row["request_id"], DEFAULT_GRADER, y) for row in rows])


def test_a_named_snapshot_keeps_its_numbers(filled: Lake) -> None:
    grade_all(filled, 1)
    kept = name_snapshot(filled, "week 2", reason="weekly report")
    reported = numbers(filled)
    grade_all(filled, 0)
    expire_requests(filled, MONDAY + timedelta(hours=50))
    compact_store(filled, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    grade_all(filled, 1)
    compact_store(filled, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    assert numbers(filled) != reported
    with PastLake(filled, kept.snapshot) as past:
        assert numbers(past) == reported
        assert past.snapshot() == kept.snapshot


def test_a_past_lake_cannot_be_written_and_closing_it_leaves_the_present_open(filled: Lake) -> None:
    with (
        PastLake(filled, filled.snapshot()) as past,
        pytest.raises(StoreError, match="is in the past"),
    ):
        past.write(lambda c: c.execute("delete from requests"))
    assert filled.rows("select count(*) as n from requests") == [{"n": 120}]


def test_a_snapshot_without_a_name_expires_and_says_so(filled: Lake) -> None:
    old = filled.snapshot()
    open_meanwhile = PastLake(filled, old)
    grade_all(filled, 1)
    compact_store(filled, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    for attempt in (
        lambda: PastLake(filled, old),
        lambda: open_meanwhile.rows("select count(*) from requests"),
        lambda: name_snapshot(filled, "late", snapshot=old),
    ):
        with pytest.raises(StoreError, match=f"snapshot {old} has expired"):
            attempt()
    open_meanwhile.close()


def test_a_dropped_name_lets_the_snapshot_go(filled: Lake) -> None:
    kept = name_snapshot(filled, "once")
    drop_names(filled, ["once"])
    assert named_snapshots(filled) == []
    grade_all(filled, 1)
    compact_store(filled, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    with pytest.raises(StoreError, match="has expired"):
        PastLake(filled, kept.snapshot)


def test_names_are_unique_and_known(lake: Lake) -> None:
    name_snapshot(lake, "a")
    with pytest.raises(InputError, match="'a' is taken"):
        name_snapshot(lake, "a")
    with pytest.raises(InputError, match="is empty"):
        name_snapshot(lake, " ")
    with pytest.raises(UnknownName, match=r"'b'.*name one of: a"):
        drop_names(lake, ["a", "b"])
    assert [one.name for one in named_snapshots(lake)] == ["a"]


def test_a_snapshot_is_found_by_name_number_or_time(lake: Lake) -> None:
    first = name_snapshot(lake, "week 12").snapshot
    name_snapshot(lake, "2", snapshot=first)
    times = snapshot_times(lake)
    assert list(times.values()) == sorted(times.values())
    assert find_snapshot(lake, "week 12") == first
    assert find_snapshot(lake, "2") == first, "a name comes before a number"
    newest = lake.snapshot()
    assert find_snapshot(lake, str(newest)) == newest
    at, moment = times[first], timedelta(microseconds=1)
    assert find_snapshot(lake, at.isoformat()) == first
    assert find_snapshot(lake, (at - moment).isoformat()) == first - 1
    shifted = at.astimezone(timezone(timedelta(hours=5)))
    assert find_snapshot(lake, shifted.isoformat()) == first
    assert find_snapshot(lake, at.replace(tzinfo=None).isoformat()) == first
    assert find_snapshot(lake, str(at.date() + timedelta(days=1))) == newest


def test_a_time_whose_snapshot_has_expired_is_not_answered_with_an_older_one(lake: Lake) -> None:
    kept = name_snapshot(lake, "week 12").snapshot
    at = snapshot_times(lake)[kept]
    assert find_snapshot(lake, at.isoformat()) == kept
    drop_names(lake, ["week 12"])
    name_snapshot(lake, "again", snapshot=kept)
    compact_store(lake, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    assert kept + 1 not in snapshot_times(lake)
    with pytest.raises(UnknownName, match="or it has expired"):
        find_snapshot(lake, at.isoformat())
    assert find_snapshot(lake, "again") == kept


@pytest.mark.parametrize("asked", ["week 13", "999999", "2001-01-01", ""])
def test_what_is_no_snapshot_is_told_with_what_there_is(lake: Lake, asked: str) -> None:
    name_snapshot(lake, "week 12")
    with pytest.raises(UnknownName, match=r"week 12\), a number from 0 to \d+, or a time from 20"):
        find_snapshot(lake, asked)


def test_a_snapshot_of_an_earlier_ragdiag_says_so(lake: Lake) -> None:
    old = lake.snapshot()
    lake.write(lambda c: c.execute("create table later as select 1 as n"))
    with PastLake(lake, old) as past, pytest.raises(duckdb.CatalogException):
        past.rows("select n from later")
    lake.write(lambda c: c.execute("insert into migrations select * from migrations limit 1"))
    with PastLake(lake, old) as past, pytest.raises(StoreError, match="of an earlier ragdiag"):
        past.rows("select n from later")
    with pytest.raises(StoreError, match="snapshot 0 has the tables of an earlier ragdiag"):
        PastLake(lake, 0)
