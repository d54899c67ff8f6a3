"""Rows of the ``passages`` table: current ones have no ``removed_at``, and no row is deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from ragdiag.records import NO_METADATA, Passage, PassageMetadata
from ragdiag.store.tables import SCHEMAS, insert, registered
from ragdiag.store.times import to_aware_utc, to_naive_utc

_OWN = "passage_id, document_id, text, title, position"
"""In the order of Passage's own fields."""

_METADATA = "tenant, topic, published_at, roles"
"""In the order of PassageMetadata's own fields; null in rows of before there were any."""

FIELDS = f"{_OWN}, {_METADATA}"

LOGGED_FIELDS = f"{_OWN}, null as {_METADATA.replace(', ', ', null as ')}"
"""The same of ``logged_passages``: a log does not say whose a passage is."""


@dataclass(frozen=True, slots=True)
class CurrentRow:
    """A current passage without its text: enough to tell what has changed."""

    document_id: str
    position: int
    content_hash: str
    metadata: PassageMetadata = NO_METADATA


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
        new = CurrentRow(
            passage.document_id, passage.position, passage.content_hash, passage.metadata
        )
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
                **{name: getattr(passage, name) for name in _OWN.split(", ")},
                **_metadata_row(passage.metadata),
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
        f"select passage_id, document_id, position, content_hash, {_METADATA} "
        "from current_passages "
        "where passage_id in (select unnest($ids::varchar[])) "
        "or document_id in (select unnest($documents::varchar[]))",
        {"ids": list(passage_ids), "documents": sorted(documents)},
    ).fetchall()
    return {
        passage_id: CurrentRow(document_id, position, content_hash, _metadata(*known))
        for passage_id, document_id, position, content_hash, *known in found
    }


def read_passages(table: pa.Table) -> list[Passage]:
    """A result with the columns FIELDS as records."""
    own, metadata = (
        zip(*(table[name].to_pylist() for name in names.split(", ")), strict=True)
        for names in (_OWN, _METADATA)
    )
    return [
        Passage(passage_id, document_id, text, title, position, _metadata(*known))
        for (passage_id, document_id, text, title, position), known in zip(
            own, metadata, strict=True
        )
    ]


def _metadata_row(metadata: PassageMetadata) -> dict[str, Any]:
    published_at = metadata.published_at
    return {
        "tenant": metadata.tenant,
        "topic": metadata.topic,
        "published_at": None if published_at is None else to_naive_utc(published_at),
        "roles": list(metadata.roles),
    }


def _metadata(
    tenant: str | None, topic: str | None, published_at: datetime | None, roles: list[str] | None
) -> PassageMetadata:
    if not (tenant or topic or published_at or roles):
        return NO_METADATA
    aware = None if published_at is None else to_aware_utc(published_at)
    return PassageMetadata(tenant or "", topic or "", aware, tuple(roles or ()))
