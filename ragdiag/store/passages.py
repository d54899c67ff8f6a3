"""Rows of the ``passages`` table: current ones have no ``removed_at``, and no row is deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import duckdb
import pyarrow as pa

from ragdiag.records import Passage
from ragdiag.store.tables import SCHEMAS, insert, registered

FIELDS = "passage_id, document_id, text, title, position"
"""In the order of Passage's own fields."""


@dataclass(frozen=True, slots=True)
class CurrentRow:
    """A current passage without its text: enough to tell what has changed."""

    document_id: str
    position: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class Plan:
    """How the current rows become what they should be."""

    fresh: Sequence[Passage]
    superseded: Sequence[str]
    dropped: Sequence[str]
    moved: Sequence[Passage]


def plan_change(
    kept: Mapping[str, Passage], current: Mapping[str, CurrentRow], *, whole: bool
) -> Plan:
    """``kept`` are to be current; with ``whole``, they alone in their documents."""
    fresh, moved = [], []
    for passage_id, passage in kept.items():
        old = current.get(passage_id)
        new = CurrentRow(passage.document_id, passage.position, passage.content_hash)
        if old == new:
            continue
        if old is not None and old == replace(new, position=old.position):
            moved.append(passage)
        else:
            fresh.append(passage)
    documents = {passage.document_id for passage in kept.values()} if whole else set()
    dropped = [
        passage_id
        for passage_id, row in current.items()
        if passage_id not in kept and row.document_id in documents
    ]
    superseded = [passage.passage_id for passage in fresh if passage.passage_id in current]
    return Plan(fresh, superseded, dropped, moved)


def apply_plan(cursor: duckdb.DuckDBPyConnection, plan: Plan, now: datetime) -> None:
    """Rows leave with a ``removed_at``; a moved passage keeps its row and its ingest time."""
    retire(cursor, [*plan.dropped, *plan.superseded], now)
    insert(
        cursor,
        "passages",
        [
            {
                **{name: getattr(passage, name) for name in Passage.__dataclass_fields__},
                "content_hash": passage.content_hash,
                "ingested_at": now,
            }
            for passage in plan.fresh
        ],
    )
    if plan.moved:
        places = [{"passage_id": one.passage_id, "position": one.position} for one in plan.moved]
        columns = pa.schema([SCHEMAS["passages"].field(name) for name in places[0]])
        with registered(cursor, "moved", places, columns):
            cursor.execute(
                "update passages set position = moved.position from moved "
                "where passages.removed_at is null and passages.passage_id = moved.passage_id"
            )


def retire(cursor: duckdb.DuckDBPyConnection, passage_ids: Sequence[str], now: datetime) -> None:
    """Take current passages out of the corpus, keeping their rows."""
    if passage_ids:
        cursor.execute(
            "update passages set removed_at = ? "
            "where removed_at is null and passage_id in (select unnest(?::varchar[]))",
            [now, list(passage_ids)],
        )


def current_rows(
    cursor: duckdb.DuckDBPyConnection, passage_ids: Iterable[str], documents: Iterable[str]
) -> dict[str, CurrentRow]:
    """Current passages that have one of these ids or belong to one of these documents."""
    found = cursor.execute(
        "select passage_id, document_id, position, content_hash from current_passages "
        "where passage_id in (select unnest($ids::varchar[])) "
        "or document_id in (select unnest($documents::varchar[]))",
        {"ids": list(passage_ids), "documents": sorted(documents)},
    ).fetchall()
    return {passage_id: CurrentRow(*rest) for passage_id, *rest in found}


def read_passages(table: pa.Table) -> list[Passage]:
    """A result with the columns FIELDS as records."""
    columns = [table[name].to_pylist() for name in FIELDS.split(", ")]
    return [Passage(*values) for values in zip(*columns, strict=True)]
