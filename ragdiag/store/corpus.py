"""The corpus: documents added, replaced and removed, each in one transaction, times kept.

What is known about the corpus (questions, judgments, gold answers) lives in gold.py; its
functions are offered here too, so that an importer needs one module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from ragdiag.errors import StoreError
from ragdiag.records import Passage, Reject
from ragdiag.store.gold import (
    GoldChange,
    add_gold_answers,
    add_judgments,
    add_questions,
    load_gold_answers,
    load_judgments,
    load_questions,
    splits,
)
from ragdiag.store.lake import Lake, now_utc
from ragdiag.store.rows import TEXT, TIME, WHOLE, insert, registered

__all__ = [
    "CorpusChange",
    "GoldChange",
    "add_documents",
    "add_gold_answers",
    "add_judgments",
    "add_questions",
    "corpus_hash",
    "load_build_passages",
    "load_gold_answers",
    "load_judgments",
    "load_passages",
    "load_passages_by_id",
    "load_questions",
    "remove_documents",
    "splits",
]

_PASSAGES = pa.schema(
    [("passage_id", TEXT), ("document_id", TEXT), ("title", TEXT), ("text", TEXT)]
    + [("position", WHOLE), ("content_hash", TEXT), ("ingested_at", TIME), ("removed_at", TIME)]
)
_FIELDS = "passage_id, document_id, text, title, position"
"""In the order of Passage's own fields."""


@dataclass(frozen=True, slots=True)
class CorpusChange:
    """Passages by what became of them. ``removed`` ones have no successor of the same id."""

    added: int
    replaced: int
    removed: int
    unchanged: int
    rejects: tuple[Reject, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    """A current passage as the table has it, without its text."""

    document_id: str
    position: int
    content_hash: str


def add_documents(lake: Lake, passages: Iterable[Passage], *, replace: bool = True) -> CorpusChange:
    """Add the documents that ``passages`` make up, in one transaction.

    A document that exists is replaced as a whole: passages that are not given again get a
    ``removed_at``; unchanged content keeps its row and its ingest time. With ``replace=False``
    they stay. A reject's line is the passage's number in the call, from 1: an empty id or text,
    an id given twice (the first stays), an id that belongs to another document.
    """
    given = list(passages)

    def change(cursor: duckdb.DuckDBPyConnection) -> CorpusChange:
        offered, rejects = _usable(given)
        documents = {passage.document_id for passage in offered.values()}
        current = _current_rows(cursor, list(offered), documents)
        kept = {}
        for passage_id, passage in offered.items():
            owner = current[passage_id].document_id if passage_id in current else None
            if owner in {None, passage.document_id} or (replace and owner in documents):
                kept[passage_id] = passage
            else:
                line = next(n for n, one in enumerate(given, start=1) if one is passage)
                rejects.append(_reject(line, passage, f"belongs to the document {owner!r}"))
        return _apply(cursor, kept, current, replace, rejects)

    return lake.write(change)


def remove_documents(lake: Lake, document_ids: Sequence[str]) -> int:
    """Take documents out of the corpus; their rows stay, with a ``removed_at``. Returns how many
    passages went."""

    def remove(cursor: duckdb.DuckDBPyConnection) -> int:
        gone = list(_current_rows(cursor, [], set(document_ids)))
        _retire(cursor, gone, now_utc())
        return len(gone)

    return lake.write(remove)


def load_passages(lake: Lake) -> list[Passage]:
    """The current corpus, ordered by document, position and id."""
    return _passages(
        lake.table(
            f"select {_FIELDS} from current_passages order by document_id, position, passage_id"
        )
    )


def load_passages_by_id(lake: Lake, passage_ids: Iterable[str]) -> dict[str, Passage]:
    """The current passage of each id, else the one removed last; unknown ids are left out."""
    table = lake.table(
        f"select {_FIELDS} from passages where passage_id in (select unnest(?::varchar[])) "
        "qualify row_number() over (partition by passage_id "
        "order by removed_at desc nulls first, ingested_at desc) = 1",
        [sorted(set(passage_ids))],
    )
    return {passage.passage_id: passage for passage in _passages(table)}


def load_build_passages(lake: Lake, pairs: Sequence[tuple[str, str]]) -> list[Passage]:
    """The content that an index build was made from: one passage for each (passage_id,
    content_hash), in that order, removed ones included. StoreError names one that is missing."""
    table = lake.table(
        f"select {_FIELDS} from passages where (passage_id, content_hash) in "
        "(select unnest($ids::varchar[]), unnest($hashes::varchar[])) order by removed_at nulls last",
        {"ids": [pair[0] for pair in pairs], "hashes": [pair[1] for pair in pairs]},
    )
    found = {(passage.passage_id, passage.content_hash): passage for passage in _passages(table)}
    missing = next((pair for pair in pairs if pair not in found), None)
    if missing is not None:
        raise StoreError(
            f"the passage {missing[0]!r} is not in the lake as the index build has it",
            remedy="build the index again (ragdiag index build VERSION)",
        )
    return [found[pair] for pair in pairs]


def corpus_hash(passages: Iterable[Passage]) -> str:
    """SHA-256 of ids and content, in whatever order the passages come."""
    digest = hashlib.sha256()
    for passage_id, content in sorted((one.passage_id, one.content_hash) for one in passages):
        digest.update(f"{passage_id}\0{content}\n".encode())
    return digest.hexdigest()


def _usable(given: Sequence[Passage]) -> tuple[dict[str, Passage], list[Reject]]:
    """The passages that can be stored, by id, in their order."""
    offered: dict[str, Passage] = {}
    rejects = []
    for line, passage in enumerate(given, start=1):
        if not passage.passage_id.strip():
            rejects.append(_reject(line, passage, "empty passage id"))
        elif not passage.document_id.strip():
            rejects.append(_reject(line, passage, "empty document id"))
        elif not passage.text.strip():
            rejects.append(_reject(line, passage, "empty text"))
        elif passage.passage_id in offered:
            rejects.append(_reject(line, passage, "duplicate passage id"))
        else:
            offered[passage.passage_id] = passage
    return offered, rejects


def _apply(
    cursor: duckdb.DuckDBPyConnection,
    kept: dict[str, Passage],
    current: dict[str, _Row],
    replace: bool,
    rejects: list[Reject],
) -> CorpusChange:
    """Retire, insert and move rows, so that the current ones are ``kept`` and what stays."""
    fresh, moved = [], []
    for passage_id, passage in kept.items():
        old = current.get(passage_id)
        new = _Row(passage.document_id, passage.position, passage.content_hash)
        if old is None or (old.document_id, old.content_hash) != (
            new.document_id,
            new.content_hash,
        ):
            fresh.append(passage)
        elif old != new:
            moved.append(passage)
    documents = {passage.document_id for passage in kept.values()} if replace else set()
    dropped = [
        passage_id
        for passage_id, row in current.items()
        if passage_id not in kept and row.document_id in documents
    ]
    superseded = [passage.passage_id for passage in fresh if passage.passage_id in current]
    now = now_utc()
    _retire(cursor, dropped + superseded, now)
    _insert(cursor, fresh, now)
    _move(cursor, moved)
    return CorpusChange(
        added=len(fresh) - len(superseded),
        replaced=len(superseded),
        removed=len(dropped),
        unchanged=len(kept) - len(fresh),
        rejects=tuple(sorted(rejects, key=lambda reject: reject.line)),
    )


def _current_rows(
    cursor: duckdb.DuckDBPyConnection, passage_ids: Sequence[str], documents: Iterable[str]
) -> dict[str, _Row]:
    """Current passages that have one of these ids or belong to one of these documents."""
    found = cursor.execute(
        "select passage_id, document_id, position, content_hash from current_passages "
        "where passage_id in (select unnest($ids::varchar[])) "
        "or document_id in (select unnest($documents::varchar[]))",
        {"ids": list(passage_ids), "documents": sorted(documents)},
    ).fetchall()
    return {passage_id: _Row(*rest) for passage_id, *rest in found}


def _retire(cursor: duckdb.DuckDBPyConnection, passage_ids: Sequence[str], now: datetime) -> None:
    if passage_ids:
        cursor.execute(
            "update passages set removed_at = ? "
            "where removed_at is null and passage_id in (select unnest(?::varchar[]))",
            [now, list(passage_ids)],
        )


def _insert(cursor: duckdb.DuckDBPyConnection, passages: Iterable[Passage], now: datetime) -> None:
    rows = [
        {
            **{name: getattr(passage, name) for name in Passage.__dataclass_fields__},
            "content_hash": passage.content_hash,
            "ingested_at": now,
        }
        for passage in passages
    ]
    insert(cursor, "passages", _PASSAGES, rows)


def _move(cursor: duckdb.DuckDBPyConnection, passages: Sequence[Passage]) -> None:
    """Same content at another place in its document: the row stays, its position follows."""
    if passages:
        places = [{"passage_id": one.passage_id, "position": one.position} for one in passages]
        schema = pa.schema([("passage_id", TEXT), ("position", WHOLE)])
        with registered(cursor, "moved", pa.Table.from_pylist(places, schema=schema)):
            cursor.execute(
                "update passages set position = moved.position from moved "
                "where passages.removed_at is null and passages.passage_id = moved.passage_id"
            )


def _passages(table: pa.Table) -> list[Passage]:
    columns = [table[name].to_pylist() for name in _FIELDS.split(", ")]
    return [Passage(*values) for values in zip(*columns, strict=True)]


def _reject(line: int, passage: Passage, reason: str) -> Reject:
    body = f"{passage.document_id} {passage.passage_id} {passage.text[:200]}"
    return Reject("passages", line, reason, body)
