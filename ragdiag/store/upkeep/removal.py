"""Requests leaving the lake, with everything that hangs on them, and the ledger told.

Whoever removes requests (for their age, for privacy) does it here, so that the ledger stays equal
to the rows and ``store check`` stays clean.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from ragdiag.store.rollups import recounted
from ragdiag.store.times import now_utc
from ragdiag.store.upkeep.datafiles import CATALOG
from ragdiag.store.upkeep.ledger import SEGMENT_OF, record_removals

_IDS = pa.schema({"id": pa.string()})


def remove_requests(
    cursor: duckdb.DuckDBPyConnection, request_ids: Sequence[str], reason: str
) -> dict[str, int]:
    """Within the caller's transaction, delete these requests and the rows of every table that
    has a ``request_id``; returns the rows deleted by table."""
    tables = ["requests", *dependents(cursor)]
    with recounted(cursor, request_ids):
        return _remove(cursor, "request_id", request_ids, reason, tables)


def remove_feedback(
    cursor: duckdb.DuckDBPyConnection, feedback_ids: Sequence[str], reason: str
) -> dict[str, int]:
    """Within the caller's transaction, delete feedback whose request is not there."""
    return _remove(cursor, "feedback_id", feedback_ids, reason, ["feedback"])


def remove_grades(
    cursor: duckdb.DuckDBPyConnection, request_ids: Sequence[str], reason: str, *, before: datetime
) -> dict[str, int]:
    """Within the caller's transaction, delete grades given ``before`` a time (naive UTC) whose
    requests are not there."""
    row = cursor.execute(
        "delete from grades where graded_at < ? and request_id in (select unnest(?::varchar[]))",
        [before, list(request_ids)],
    ).fetchone()
    deleted = {"grades": int(row[0]) if row else 0}
    record_removals(cursor, deleted, reason)
    return deleted


def dependents(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    """Tables whose rows hang on a request: those with a ``request_id``, whichever they are."""
    rows = cursor.execute(
        f"select t.table_name from {CATALOG}.ducklake_table t "
        f"join {CATALOG}.ducklake_column c using (table_id) "
        "where t.end_snapshot is null and c.end_snapshot is null and c.parent_column is null "
        "and c.column_name = 'request_id' and t.table_name <> 'requests' order by t.table_name"
    ).fetchall()
    return [str(row[0]) for row in rows]


def _remove(
    cursor: duckdb.DuckDBPyConnection, key: str, ids: Sequence[str], reason: str, tables: list[str]
) -> dict[str, int]:
    cursor.register("leaving", pa.Table.from_pydict({"id": list(ids)}, schema=_IDS))
    try:
        chosen = f"where {key} in (select id from leaving)"
        if "requests" in tables:
            cursor.execute(
                f"insert into removals select {SEGMENT_OF}, 'request', count(*), $reason, $now "
                f"from requests {chosen} and segment <> '' group by all",
                {"reason": reason, "now": now_utc()},
            )
        deleted = {}
        for table in tables:
            row = cursor.execute(f"delete from {table} {chosen}").fetchone()
            deleted[table] = int(row[0]) if row else 0
        record_removals(cursor, deleted, reason)
        return deleted
    finally:
        cursor.unregister("leaving")
