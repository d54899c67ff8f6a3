"""Requests that were drawn for the log, and would have been kept all the same.

A logger keeps every request that gets a thumbs-down within its memory, and says so with the
feedback. One that had been drawn before was written with the chance of the draw; ``certain``,
kept with the request, says that it stands for itself alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ragdiag.store.tables import shown

Cursor = duckdb.DuckDBPyConnection


def find_certain(cursor: Cursor, fresh: pa.Table) -> pa.ChunkedArray:
    """``certain`` of requests that are coming in: feedback may have come before them."""
    ids = fresh["request_id"]
    if not pc.any(pc.less(fresh["keep_probability"], 1.0)).as_py():
        return pa.chunked_array([pa.repeat(False, len(ids))])
    with shown(cursor, "incoming", fresh.select(["request_id"])):
        found = cursor.execute(
            "select distinct request_id from feedback where certain "
            "and request_id >= $min and request_id <= $max "
            "and request_id in (select request_id from incoming)",
            pc.min_max(ids).as_py(),
        ).to_arrow_table()["request_id"]
    return pc.is_in(ids, value_set=found)


def make_certain(cursor: Cursor, request_ids: Iterable[str]) -> None:
    """Within the caller's transaction, that of the feedback which makes them so."""
    ids = sorted(set(request_ids))
    if ids:
        cursor.execute(
            "update requests set certain = true where request_id >= $low and request_id <= $high "
            "and request_id in (select unnest($ids::varchar[])) "
            "and keep_probability < 1 and certain is not true",
            {"ids": ids, "low": ids[0], "high": ids[-1]},
        )
