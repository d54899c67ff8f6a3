"""Requests and spans from the future: loaded, since a service logged them, and remarked on.

A clock that is minutes off is common and harms no weekly number. More than a day ahead it moves
requests into another week, so somebody should know.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ragdiag.records import Span
from ragdiag.store.times import now_utc, to_naive_utc

AHEAD = timedelta(days=1)


def note_fast_spans(
    cursor: duckdb.DuckDBPyConnection, arriving: Sequence[tuple[str, int, Span]]
) -> None:
    """As :func:`note_fast_clocks`, of spans with the segment and line that each came in."""
    if arriving:
        rows = [
            {"segment": segment, "line": line, "asked_at": to_naive_utc(span.started_at)}
            for segment, line, span in arriving
        ]
        note_fast_clocks(cursor, pa.Table.from_pylist(rows), "spans")


def note_fast_clocks(
    cursor: duckdb.DuckDBPyConnection, arriving: pa.Table, what: str = "requests"
) -> None:
    """One row of ``remarks`` for each segment with requests asked more than AHEAD from now."""
    now = now_utc()
    early = arriving.filter(pc.greater(arriving["asked_at"], pa.scalar(now + AHEAD)))
    if not early.num_rows:
        return
    found = early.group_by("segment").aggregate(
        [("line", "min"), ("line", "count"), ("asked_at", "max")]
    )
    for row in found.to_pylist():
        reason = (
            f"{row['line_count']} {what}, from this line on, are up to "
            f"{(row['asked_at_max'] - now).days} days ahead of this clock: "
            "check the clock of the service that logged them"
        )
        cursor.execute(
            "insert into remarks values (?, ?, ?, ?)",
            [row["segment"], row["line_min"], reason, now],
        )
