from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ragdiag.records import Feedback, Grade, Reject, Replay, Span
from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_findings, save_rejects
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep import expiry
from ragdiag.store.upkeep.check import check_store
from ragdiag.store.upkeep.compact import compact_store
from ragdiag.store.upkeep.expiry import expire_requests
from ragdiag.store.upkeep.past import PastLake
from ragdiag.store.upkeep.snapshots import name_snapshot, named_snapshots

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)
CUTOFF = MONDAY + timedelta(hours=50)
"""Requests 0 … 49 are older, one an hour."""

TABLES = ("requests", "feedback", "grades", "replays")


def counts(lake: Lake) -> list[int]:
    return [lake.rows(f"select count(*) as n from {table}")[0]["n"] for table in TABLES]


def say_more(lake: Lake) -> None:
    keys = [row["request_id"] for row in lake.rows("select request_id from requests")]
    save_findings(lake, grades=[Grade(key, "contains_or_f1", 1) for key in keys])
    save_findings(lake, replays=[Replay(key, "g", 0, "a", 1, 1.0, ()) for key in keys])


def test_old_requests_go_with_all_that_hangs_on_them(filled: Lake, workspace: Workspace) -> None:
    say_more(filled)
    would = expire_requests(filled, CUTOFF, dry_run=True)
    assert counts(filled) == [120, 30, 120, 120]
    done = expire_requests(filled, CUTOFF)
    assert counts(filled) == [70, 17, 70, 70]
    assert done.rows == {**would.rows, "requests": 50, "feedback": 13, "grades": 50, "replays": 50}
    oldest = filled.rows("select min(asked_at) as first from requests")[0]["first"]
    assert oldest == CUTOFF.replace(tzinfo=None)
    assert check_store(filled, workspace).findings == ()
    assert set(expire_requests(filled, CUTOFF).rows.values()) <= {0}


def test_transactions_are_bounded(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "BATCH", 20)
    before = filled.snapshot()
    assert expire_requests(filled, CUTOFF).rows["requests"] == 50
    assert filled.snapshot() - before >= 3
    assert counts(filled)[0] == 70


def test_feedback_without_a_request_and_rejected_lines_age_too(
    filled: Lake, workspace: Workspace, make_feedback: Callable[..., Feedback]
) -> None:
    with SpoolWriter(workspace) as spool:
        spool.write(make_feedback(900, request_id="never came", given_at=MONDAY))
        spool.write(make_feedback(901, request_id="may come", given_at=CUTOFF))
    ingest(filled, workspace)
    save_rejects(filled, [Reject("file", 1, "bad", "a user's words")])
    filled.write(lambda c: c.execute("update rejects set rejected_at = timestamp '2026-01-01'"))
    done = expire_requests(filled, CUTOFF)
    assert (done.rows["feedback"], done.rows["rejects"]) == (14, 1)
    left = filled.rows("select feedback_id from feedback where feedback_id in ('f900', 'f901')")
    assert left == [{"feedback_id": "f901"}]
    assert check_store(filled, workspace).findings == ()


def test_grades_without_a_request_age_by_when_they_were_given(
    filled: Lake, workspace: Workspace
) -> None:
    with SpoolWriter(workspace) as spool:
        for key, y in (("never came", 0), ("never came", 1), ("may come", 0), ("r100", 1)):
            spool.write(Grade(key, "judge:x", y, reason=f"said of {key}"))
    ingest(filled, workspace)
    old = "update grades set graded_at = timestamp '2026-01-01' where request_id"
    filled.write(lambda c: c.execute(f"{old} in ('never came', 'r100') and y = 1"))
    would = expire_requests(filled, CUTOFF, dry_run=True)
    done = expire_requests(filled, CUTOFF)
    assert (would.rows["grades"], done.rows["grades"]) == (1, 1)
    left = {(row["request_id"], row["y"]) for row in filled.rows("select * from grades")}
    assert left == {("never came", 0), ("may come", 0), ("r100", 1)}
    assert check_store(filled, workspace).findings == ()


def test_a_remark_goes_with_the_last_request_of_its_segment(
    filled: Lake, workspace: Workspace
) -> None:
    (emptied, *_, last) = filled.rows(
        "select segment from requests group by 1 having count(*) > 1 order by max(asked_at)"
    )
    now = datetime.now(UTC).replace(tzinfo=None)
    remarks = [
        (emptied["segment"], "old, of what goes", datetime(2026, 1, 5)),
        (last["segment"], "old, of what stays", datetime(2026, 1, 5)),
        (emptied["segment"], "new", now),
        ("a segment that is gone", "old, of nothing", datetime(2026, 1, 5)),
    ]
    filled.write(
        lambda cursor: cursor.executemany(
            "insert into remarks (source, line, reason, noted_at) values (?, 1, ?, ?)", remarks
        )
    )
    would = expire_requests(filled, CUTOFF, dry_run=True)
    done = expire_requests(filled, CUTOFF)
    assert (would.rows["remarks"], done.rows["remarks"]) == (2, 2)
    left = {row["reason"] for row in filled.rows("select reason from remarks")}
    assert left == {"old, of what stays", "new"}
    everything = expire_requests(filled, now.replace(tzinfo=UTC) + timedelta(days=1))
    assert everything.rows["remarks"] == 2


def test_what_left_does_not_come_back_with_its_segment(filled: Lake, workspace: Workspace) -> None:
    expire_requests(filled, CUTOFF)
    for path in (workspace.spool / "archive").iterdir():
        path.rename(workspace.spool / path.name)
    assert ingest(filled, workspace).accepted == 0
    assert counts(filled)[0] == 70


def test_the_archive_does_not_outlive_its_requests(filled: Lake, workspace: Workspace) -> None:
    assert expire_requests(filled, CUTOFF).archived == 1
    assert len(list((workspace.spool / "archive").iterdir())) == 2


def test_the_archive_of_spans_and_feedback_ages_by_when_it_came_in(
    filled: Lake, workspace: Workspace
) -> None:
    with SpoolWriter(workspace) as spool:
        spool.write(Span("1" * 32, "2" * 16, None, "ask", MONDAY, MONDAY))
    with SpoolWriter(workspace) as spool:
        spool.write(Feedback("f-alone", "r-elsewhere", MONDAY, "thumbs", 1.0))
    ingest(filled, workspace)
    assert expire_requests(filled, CUTOFF).archived == 1
    assert len(list((workspace.spool / "archive").iterdir())) == 4, "these came in today"
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert expire_requests(filled, tomorrow).archived == 4
    assert not list((workspace.spool / "archive").iterdir())


def test_named_snapshots_that_hold_the_rows_are_told_and_protected(filled: Lake) -> None:
    kept = name_snapshot(filled, "week 1")
    assert expire_requests(filled, CUTOFF, dry_run=True).held_by == ("week 1",)
    assert expire_requests(filled, CUTOFF).held_by == ("week 1",)
    compact_store(filled, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    with PastLake(filled, kept.snapshot) as past:
        assert counts(past)[0] == 120
    name_snapshot(filled, "week 2")
    done = expire_requests(filled, CUTOFF, drop_named=True)
    assert (done.held_by, done.broken) == ((), ("week 1",))
    assert [one.name for one in named_snapshots(filled)] == ["week 2"]
