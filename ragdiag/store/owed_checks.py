"""Looks at the indexes that changes of the corpus owe: a row of the same transaction each, so that
a process killed in between leaves word for whoever comes next."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import duckdb

from ragdiag.identifiers import time_ordered_id
from ragdiag.store.lake import Lake
from ragdiag.store.times import now_utc, to_aware_utc


def owe_check(cursor: duckdb.DuckDBPyConnection) -> None:
    """Within the caller's transaction; nothing is owed while nothing has been indexed."""
    cursor.execute(
        "insert into owed_checks select ?, ? where exists (select 1 from index_builds)",
        [time_ordered_id(), now_utc()],
    )


def load_owed(lake: Lake, after_s: float = 0.0) -> dict[str, datetime]:
    """Id → since when, of the looks that have been owed for ``after_s`` seconds."""
    rows = lake.rows(
        "select check_id, owed_at from owed_checks where owed_at <= ? order by owed_at",
        [now_utc() - timedelta(seconds=after_s)],
    )
    return {row["check_id"]: to_aware_utc(row["owed_at"]) for row in rows}


def clear_owed(lake: Lake, check_ids: Collection[str]) -> None:
    """The looks were had; those owed since stay owed."""
    if check_ids:
        lake.write(
            lambda cursor: cursor.execute(
                "delete from owed_checks where check_id in (select unnest(?::varchar[]))",
                [list(check_ids)],
            )
        )
