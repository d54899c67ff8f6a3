"""The ledger: which rows each spool segment brought, so that what is missing can be named.

``segments`` says which segments were loaded, ``segment_counts`` how many rows of each kind came in
each, ``removals`` how many have left since and why. Requests carry their segment, so they are
held to it one by one; feedback does not, so it is held to the sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from ragdiag.store.tables import insert

_STORED = """
    select segment, 'request' as kind, count(*) as n from requests
    where segment in (select segment from segments) group by segment
    union all select '', 'feedback', count(*) from feedback"""

_GAPS = f"""
    with counted as (
        select case when kind = 'request' then segment else '' end as segment, kind,
               sum(accepted) as n
        from segment_counts where kind in ('request', 'feedback') group by all),
    removed as (
        select case when kind = 'request' then segment else '' end as segment, kind, sum(n) as n
        from removals group by all),
    stored as ({_STORED})
    select segment, kind, coalesce(c.n, 0) - coalesce(r.n, 0) as expected,
           coalesce(s.n, 0) as found
    from counted c full join removed r using (segment, kind) full join stored s
        using (segment, kind)
    where kind in ('request', 'feedback') and expected <> found
    order by kind desc, segment"""


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows of one kind that a segment should have in the lake, and those it has. The segment of
    feedback is empty: all of it together."""

    segment: str
    kind: str
    expected: int
    found: int


def record_counts(
    cursor: duckdb.DuckDBPyConnection, accepted: Mapping[tuple[str, str], int]
) -> None:
    """Enter how many rows came in: (segment, kind) → rows."""
    rows = [{"segment": name, "kind": kind, "accepted": n} for (name, kind), n in accepted.items()]
    insert(cursor, "segment_counts", rows)


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
        "select segment, count(*) from requests where segment <> '' and segment not in "
        "(select segment from segments) group by segment order by segment"
    ).fetchall()


def loaded_segments(cursor: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Segment → when it was loaded (naive UTC)."""
    return dict(cursor.execute("select segment, ingested_at from segments").fetchall())
