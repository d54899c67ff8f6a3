"""What is older than its retention leaves the lake, in transactions of bounded size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import duckdb

from ragdiag.errors import DamagedFile
from ragdiag.progress import Progress, report
from ragdiag.store.disk import disk_faults
from ragdiag.store.lake import Lake
from ragdiag.store.times import to_naive_utc
from ragdiag.store.upkeep.archive import archived_segments
from ragdiag.store.upkeep.past import PastLake
from ragdiag.store.upkeep.removal import (
    dependents,
    remove_feedback,
    remove_grades,
    remove_requests,
)
from ragdiag.store.upkeep.snapshots import NamedSnapshot, drop_names, named_snapshots

BATCH = 50_000
"""Requests per transaction: a few seconds of the writers' turn."""

REASON = "age"


@dataclass(frozen=True, slots=True)
class ExpiryReport:
    """Rows that left (or would leave), by table. ``held_by`` names the snapshots that can still
    read them; ``broken`` those whose names were dropped, so that the next clean-up takes them.
    ``archived`` counts archived segments that went because none of their rows is left."""

    rows: dict[str, int]
    held_by: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    archived: int = 0


def expire_requests(
    lake: Lake,
    before: datetime,
    *,
    dry_run: bool = False,
    drop_named: bool = False,
    progress: Progress | None = None,
) -> ExpiryReport:
    """Delete requests asked before ``before`` with all that hangs on them, feedback and grades
    without a request, and rejected lines, each older than that; and remarks that are older, once
    the last request of the segment that they speak of goes.

    The rows stay readable in snapshots until ``store compact`` expires those; a named snapshot
    is protected, unless ``drop_named``, which drops the names of those that hold such rows.
    """
    cutoff = to_naive_utc(before)
    holding = tuple(one.name for one in named_snapshots(lake) if _holds(lake, one, cutoff))
    if dry_run:
        return ExpiryReport(_count(lake, cutoff), held_by=holding)
    if drop_named and holding:
        drop_names(lake, list(holding))
    total = sum(_count(lake, cutoff).values())
    gone: Counter[str] = Counter()
    for find, remove in (
        (_OLD_REQUESTS, remove_requests),
        (_OLD_FEEDBACK, remove_feedback),
        (_GRADED, partial(remove_grades, before=cutoff)),
    ):
        while deleted := _one_batch(lake, find, remove, cutoff):
            gone.update(deleted)
            report(progress, sum(gone.values()) / max(total, 1), f"{gone['requests']} requests")
    gone.update(lake.write(lambda cursor: _delete_noted(cursor, cutoff)))
    archived = _drop_emptied_segments(lake, cutoff)
    return ExpiryReport(
        dict(gone),
        held_by=() if drop_named else holding,
        broken=holding if drop_named else (),
        archived=archived,
    )


_OLD_REQUESTS = "select request_id from requests where asked_at < $cutoff order by asked_at"
_OLD_FEEDBACK = """select feedback_id from feedback where given_at < $cutoff
    and request_id not in (select request_id from requests)"""
_OLD_GRADES = "graded_at < $cutoff and request_id not in (select request_id from requests)"
_GRADED = f"select distinct request_id from grades where {_OLD_GRADES}"

_ALONE = {"feedback": f" or feedback_id in ({_OLD_FEEDBACK})", "grades": f" or ({_OLD_GRADES})"}
"""What else goes of a table than what hangs on old requests."""

_OLD_NOTES = {
    "rejects": "rejected_at < $cutoff",
    "remarks": """noted_at < $cutoff and source not in (
        select segment from requests where segment is not null and asked_at >= $cutoff)""",
}


def _holds(lake: Lake, named: NamedSnapshot, cutoff: datetime) -> bool:
    with PastLake(lake, named.snapshot) as past:
        try:
            return bool(past.rows("select 1 from requests where asked_at < ? limit 1", [cutoff]))
        except DamagedFile:  # kept for a file that is set aside, which may have some
            return True


def _one_batch(
    lake: Lake,
    find: str,
    remove: Callable[[duckdb.DuckDBPyConnection, Sequence[str], str], dict[str, int]],
    cutoff: datetime,
) -> dict[str, int]:
    """Rows that one transaction deleted, by table; empty where nothing is left to delete."""

    def work(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
        found = cursor.execute(f"{find} limit {BATCH}", {"cutoff": cutoff}).fetchall()
        return remove(cursor, [row[0] for row in found], REASON) if found else {}

    return lake.write(work)


def _count(lake: Lake, cutoff: datetime) -> dict[str, int]:
    def work(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
        counted = {}
        old = "select request_id from requests where asked_at < $cutoff"
        for table in ["requests", *dependents(cursor)]:
            row = cursor.execute(
                f"select count(*) from {table} where request_id in ({old}){_ALONE.get(table, '')}",
                {"cutoff": cutoff},
            ).fetchone()
            counted[table] = int(row[0]) if row else 0
        for table, old in _OLD_NOTES.items():
            row = cursor.execute(
                f"select count(*) from {table} where {old}", {"cutoff": cutoff}
            ).fetchone()
            counted[table] = int(row[0]) if row else 0
        return counted

    return lake.read(work)


def _delete_noted(cursor: duckdb.DuckDBPyConnection, cutoff: datetime) -> dict[str, int]:
    """What was noted of lines and segments, by table."""
    gone = {}
    for table, old in _OLD_NOTES.items():
        row = cursor.execute(f"delete from {table} where {old}", {"cutoff": cutoff}).fetchone()
        gone[table] = int(row[0]) if row else 0
    return gone


_EMPTIED = """
    select segment from (
        select segment from removals where segment <> '' and reason = $reason
        union select segment from segments where ingested_at < $cutoff)
    where segment not in (select segment from requests where segment is not null)"""


def _drop_emptied_segments(lake: Lake, cutoff: datetime) -> int:
    """Remove archived segments that no request in the lake is from and that requests have left, or
    that came in before ``cutoff`` (spans of traces, feedback or grades alone): what they hold is
    older, and the archive must not outlive the retention."""
    rows = lake.rows(_EMPTIED, {"reason": REASON, "cutoff": cutoff})
    emptied = {row["segment"] for row in rows}
    archived = {
        name: path for name, path in archived_segments(lake.workspace).items() if name in emptied
    }
    for path in archived.values():
        with disk_faults(path):
            path.unlink(missing_ok=True)
    return len(archived)
