"""Spans that wait in the lake until their trace can be read as a request, and the traces that were.

``assembled_traces`` remembers which spans a trace was read from, so that a span that an exporter
sent twice is told from one that came too late.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import duckdb

from ragdiag.records import Span
from ragdiag.store.lake import Lake
from ragdiag.store.rows import span_from_row
from ragdiag.store.tables import insert
from ragdiag.store.times import now_utc
from ragdiag.store.upkeep.ledger import record_removals

REMEMBERED = timedelta(days=7)
"""How long a trace that was read is remembered."""


def ready_traces(
    lake: Lake, *, settled_before: datetime, orphaned_before: datetime, spans: int
) -> list[str]:
    """Traces that have their root and got nothing since ``settled_before``, or got nothing since
    ``orphaned_before``; the longest waiting first, as many as have ``spans`` spans together, and
    at least one. Times are naive UTC, of receipt: no service's clock matters.
    """
    return [
        row["trace_id"]
        for row in lake.rows(
            """
            with waiting as (
                select trace_id, count(*) as spans, min(received_at) as since from spans
                group by trace_id
                having max(received_at) <= $orphaned
                    or (max(received_at) <= $settled and bool_or(parent_id is null)))
            select trace_id from waiting
            qualify sum(spans) over (order by since, trace_id rows unbounded preceding) - spans
                < $spans
            order by since, trace_id""",
            {"settled": settled_before, "orphaned": orphaned_before, "spans": spans},
        )
    ]


def staged_spans(
    cursor: duckdb.DuckDBPyConnection, trace_ids: Collection[str], most: int
) -> dict[str, tuple[list[Span], int]]:
    """Of each trace its spans, the first ``most`` by their start, and how many there are."""
    rows = (
        cursor.execute(
            """
            select *, count(*) over (partition by trace_id) as spans_of_trace from spans
            where trace_id in (select unnest(?::varchar[]))
            qualify row_number() over (partition by trace_id order by started_at, span_id) <= ?
            order by started_at, span_id""",
            [list(trace_ids), most],
        )
        .to_arrow_table()
        .to_pylist()
    )
    found: dict[str, tuple[list[Span], int]] = {}
    for row in rows:
        kept, _ = found.setdefault(row["trace_id"], ([], row["spans_of_trace"]))
        kept.append(span_from_row(row))
    return found


def assembled_spans(
    cursor: duckdb.DuckDBPyConnection, trace_ids: Collection[str]
) -> dict[str, set[str]]:
    """Which of the traces were read already, and from which spans."""
    found = cursor.execute(
        "select trace_id, span_ids from assembled_traces "
        "where trace_id in (select unnest(?::varchar[]))",
        [list(trace_ids)],
    ).fetchall()
    spans: dict[str, set[str]] = {}
    for trace_id, span_ids in found:
        spans.setdefault(trace_id, set()).update(span_ids)
    return spans


def finish_traces(
    cursor: duckdb.DuckDBPyConnection, read: Mapping[str, Sequence[str]], taken: Iterable[str]
) -> None:
    """Remember the spans of the traces that were ``read``, and take all spans of ``taken`` away."""
    now = now_utc()
    rows = [
        {"trace_id": trace_id, "span_ids": list(spans), "assembled_at": now}
        for trace_id, spans in read.items()
    ]
    insert(cursor, "assembled_traces", rows)
    gone = cursor.execute(
        "delete from spans where trace_id in (select unnest(?::varchar[]))", [list(taken)]
    ).fetchone()
    record_removals(cursor, {"spans": int(gone[0]) if gone else 0}, "read")


def forget_traces(lake: Lake, before: datetime) -> None:
    """Forget the traces that were read ``before`` a time (naive UTC)."""
    if lake.rows("select 1 from assembled_traces where assembled_at < ? limit 1", [before]):
        lake.write(
            lambda cursor: cursor.execute(
                "delete from assembled_traces where assembled_at < ?", [before]
            )
        )
