"""The ledger: which rows came into the lake, so that what is missing can be named.

``segments`` says which segments were loaded, ``segment_counts`` how many rows of each kind came in
each, ``removals`` how many have left since and why; both are entered in the transaction that adds
or deletes the rows. Requests carry their segment, so they are held to it one by one; each other
kind is held to its sum:

- feedback, passages and grades from segments and traces; grades that jobs gave as well, under no
  segment. They leave with their requests (age, privacy); passages never do.
- spans leave when their trace has been read as a request, or with their user. What is read from a
  trace is entered under the segment TRACES: a row for every trace would be as many as requests.

A sum does not see one row lost and another doubled: requests and feedback have ids that are looked
at for that, grades and passages have none. Rejected lines are not held to the ledger: each is
shown, and expires, by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from ragdiag.spans.sources import TRACE
from ragdiag.store.tables import insert
from ragdiag.store.times import now_utc

TABLES: Mapping[str, str] = {
    "request": "requests",
    "feedback": "feedback",
    "grade": "grades",
    "passage": "logged_passages",
    "span": "spans",
}
"""Kind of record and the table whose rows are counted."""

TRACES = "traces"

SEGMENT_OF = f"case when starts_with(segment, '{TRACE}') then '{TRACES}' else segment end"
"""Of a request: the segment under which it is counted."""

_HELD_TO = f"case when kind = 'request' then {SEGMENT_OF} else '' end"

_STORED = f"""
    select {SEGMENT_OF} as segment, 'request' as kind, count(*) as n from requests
    where starts_with(segment, '{TRACE}') or segment in (select segment from segments)
    group by all""" + "".join(
    f" union all select '', '{kind}', count(*) from {table}"
    for kind, table in TABLES.items()
    if kind != "request"
)

_GAPS = f"""
    with counted as (
        select {_HELD_TO} as segment, kind, sum(accepted) as n from segment_counts group by all),
    removed as (
        select {_HELD_TO} as segment, kind, sum(n) as n from removals group by all),
    stored as ({_STORED})
    select segment, kind, coalesce(c.n, 0) - coalesce(r.n, 0) as expected,
           coalesce(s.n, 0) as found
    from counted c full join removed r using (segment, kind) full join stored s
        using (segment, kind)
    where expected <> found
    order by kind, segment"""


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows of one kind that a segment should have in the lake, and those it has. The segment is
    empty for kinds that are counted all together."""

    segment: str
    kind: str
    expected: int
    found: int


def record_counts(
    cursor: duckdb.DuckDBPyConnection, accepted: Mapping[tuple[str, str], int]
) -> None:
    """Within the caller's transaction, enter how many rows came in: (segment, kind) → rows."""
    rows = [
        {"segment": name, "kind": kind, "accepted": n} for (name, kind), n in accepted.items() if n
    ]
    insert(cursor, "segment_counts", rows)


def record_removals(
    cursor: duckdb.DuckDBPyConnection, deleted: Mapping[str, int], reason: str
) -> None:
    """Within the caller's transaction, enter how many rows left (table → rows), of those kinds
    that are counted all together."""
    for kind, table in TABLES.items():
        if kind != "request" and deleted.get(table):
            cursor.execute(
                "insert into removals values ('', ?, ?, ?, ?)",
                [kind, deleted[table], reason, now_utc()],
            )


def set_aside_reason(table: str) -> str:
    """The reason under which rows of a file that is set aside leave, to be loaded again."""
    return f"{table} set aside"


def find_gaps(cursor: duckdb.DuckDBPyConnection) -> list[Gap]:
    """Segments whose rows are not those that the ledger has, and what is missing or too many."""
    rows = cursor.execute(_GAPS).fetchall()
    return [
        Gap(segment, kind, int(expected), int(found)) for segment, kind, expected, found in rows
    ]


def find_duplicates(cursor: duckdb.DuckDBPyConnection) -> list[tuple[str, str, int]]:
    """Table, id and number of rows, for ids that should be there once."""
    return cursor.execute(
        " union all ".join(
            f"select '{table}', {key}, count(*) from {table} group by {key} having count(*) > 1"
            for table, key in (
                ("requests", "request_id"),
                ("feedback", "feedback_id"),
                ("segments", "segment"),
            )
        )
    ).fetchall()


def find_unknown_segments(cursor: duckdb.DuckDBPyConnection) -> list[tuple[str, int]]:
    """Segments that requests name and the ledger does not have, with their number of requests."""
    return cursor.execute(
        "select segment, count(*) from requests where segment <> '' "
        f"and not starts_with(segment, '{TRACE}') and segment not in "
        "(select segment from segments) group by segment order by segment"
    ).fetchall()


def loaded_segments(cursor: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Segment → when it was loaded (naive UTC)."""
    return dict(cursor.execute("select segment, ingested_at from segments").fetchall())


def loaded_lines(
    cursor: duckdb.DuckDBPyConnection, segments: Sequence[str]
) -> dict[str, tuple[int, int, int]]:
    """Segment → its lines, and how many of them were accepted and rejected; of those of
    ``segments`` that were loaded."""
    found = cursor.execute(
        "select segment, lines, accepted, rejected from segments "
        "where segment in (select unnest(?::varchar[]))",
        [list(segments)],
    ).fetchall()
    return {segment: (lines, accepted, rejected) for segment, lines, accepted, rejected in found}
