"""Where each kind of record lies in the lake: those that are there already, and how some are added.

``find`` gives at least every stored record that shares an identity with one given; ``add`` gets
records with the segment each came in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import duckdb
import pyarrow as pa

from ragdiag.records import Feedback, Grade, Passage, Request, Span
from ragdiag.store.certainty import make_certain
from ragdiag.store.intake.arrivals import insert_requests
from ragdiag.store.kinds import Record, identity, kind_of
from ragdiag.store.rollups import recounted
from ragdiag.store.rows import (
    feedback_from_row,
    feedback_row,
    grade_from_row,
    grade_row,
    passage_from_row,
    passage_row,
    request_row,
    requests_from_table,
    span_from_row,
    span_row,
)
from ragdiag.store.tables import SCHEMAS, insert
from ragdiag.store.times import now_utc

Cursor = duckdb.DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Shelf:
    find: Callable[[Cursor, Sequence[Any]], Iterable[Any]]
    add: Callable[[Cursor, Sequence[tuple[str, Any]]], None]


def _find(
    table: str, key: str, read: Callable[[Mapping[str, Any]], Any]
) -> Callable[[Cursor, Sequence[Any]], Iterable[Any]]:
    def find(cursor: Cursor, records: Sequence[Any]) -> Iterable[Any]:
        wanted = sorted({getattr(record, key) for record in records})
        found = cursor.execute(
            f"select * from {table} where {key} in (select unnest(?::varchar[]))", [wanted]
        )
        return map(read, found.to_arrow_table().to_pylist())

    return find


def _find_requests(cursor: Cursor, records: Sequence[Request]) -> list[Request]:
    return requests_from_table(
        cursor.execute(
            "select * from requests where request_id in (select unnest(?::varchar[]))",
            [[request.request_id for request in records]],
        ).to_arrow_table()
    )


def _add_requests(cursor: Cursor, accepted: Sequence[tuple[str, Request]]) -> None:
    rows = [request_row(request, None, segment) for segment, request in accepted]
    insert_requests(cursor, pa.Table.from_pylist(rows, schema=SCHEMAS["requests"]))


def _add_feedback(cursor: Cursor, accepted: Sequence[tuple[str, Feedback]]) -> None:
    with recounted(cursor, (record.request_id for _, record in accepted)):
        insert(cursor, "feedback", [feedback_row(record) for _, record in accepted])
        make_certain(cursor, [record.request_id for _, record in accepted if record.certain])


def _add_grades(cursor: Cursor, accepted: Sequence[tuple[str, Grade]]) -> None:
    now = now_utc()
    # Each a moment later than the one before: the latest counts, and what comes last corrects.
    rows = [
        grade_row(record, now + timedelta(microseconds=place))
        for place, (_, record) in enumerate(accepted)
    ]
    with recounted(cursor, (record.request_id for _, record in accepted)):
        insert(cursor, "grades", rows)


def _add_passages(cursor: Cursor, accepted: Sequence[tuple[str, Passage]]) -> None:
    now = now_utc()
    insert(cursor, "logged_passages", [passage_row(record, now) for _, record in accepted])


def _add_spans(cursor: Cursor, accepted: Sequence[tuple[str, Span]]) -> None:
    now = now_utc()
    insert(cursor, "spans", [span_row(record, segment, now) for segment, record in accepted])


SHELVES: Mapping[str, Shelf] = {
    "request": Shelf(_find_requests, _add_requests),
    "feedback": Shelf(_find("feedback", "feedback_id", feedback_from_row), _add_feedback),
    "grade": Shelf(_find("grades", "request_id", grade_from_row), _add_grades),
    "passage": Shelf(_find("logged_passages", "passage_id", passage_from_row), _add_passages),
    "span": Shelf(_find("spans", "trace_id", span_from_row), _add_spans),
}


def find_known(cursor: Cursor, records: Sequence[Record]) -> dict[tuple[str, str], Record]:
    """The lake's records that have an identity of ``records``."""
    wanted: dict[str, list[Record]] = {}
    for record in records:
        wanted.setdefault(kind_of(record), []).append(record)
    return {
        identity(record): record
        for kind, given in wanted.items()
        for record in SHELVES[kind].find(cursor, given)
    }
