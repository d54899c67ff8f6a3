"""The corpus: documents added, replaced and removed, each in one transaction, times kept.

What is known about the corpus (questions, judgments, gold answers) lives in gold.py and
judgments.py; their functions are offered here too, so that an importer needs one module.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import duckdb

from ragdiag.errors import StoreError
from ragdiag.records import NO_METADATA, Passage, PassageMetadata, Reject
from ragdiag.store.gold import GoldChange, add_gold_answers, add_questions, load_gold_answers
from ragdiag.store.judgments import add_judgments, load_judgments, load_questions, splits
from ragdiag.store.lake import Lake
from ragdiag.store.owed_checks import owe_check
from ragdiag.store.passages import (
    FIELDS,
    apply_plan,
    current_rows,
    plan_change,
    read_passages,
    retire,
)
from ragdiag.store.tables import is_unicode
from ragdiag.store.times import now_utc, to_naive_utc

__all__ = [
    "CorpusChange",
    "GoldChange",
    "add_documents",
    "add_gold_answers",
    "add_judgments",
    "add_questions",
    "corpus_hash",
    "load_build_passages",
    "load_contents",
    "load_gold_answers",
    "load_judgments",
    "load_passages",
    "load_passages_by_id",
    "load_questions",
    "load_successor_metadata",
    "removal_mark",
    "remove_documents",
    "splits",
    "unknown_documents",
]


@dataclass(frozen=True, slots=True)
class CorpusChange:
    """Passages by what became of them. ``removed`` ones have no successor of the same id."""

    added: int
    replaced: int
    removed: int
    unchanged: int
    rejects: tuple[Reject, ...] = ()


def add_documents(lake: Lake, passages: Iterable[Passage], *, replace: bool = True) -> CorpusChange:
    """Add the documents that ``passages`` make up, in one transaction; from then on a look at the
    indexes is owed (store/owed_checks.py).

    A document that exists is replaced as a whole: passages that are not given again get a
    ``removed_at``; unchanged content under unchanged metadata keeps its row and its ingest time.
    With ``replace=False`` they stay. A reject's line is the passage's number in the call, from 1:
    an empty id or text, an id given twice (the first stays), an id that belongs to another
    document, a time without a zone.
    """
    given = list(passages)

    def change(cursor: duckdb.DuckDBPyConnection) -> CorpusChange:
        offered, rejects = _usable(given)
        documents = {passage.document_id for _, passage in offered.values()}
        current = current_rows(cursor, offered, documents)
        kept = {}
        for passage_id, (line, passage) in offered.items():
            owner = current[passage_id].document_id if passage_id in current else None
            if owner in {None, passage.document_id} or (replace and owner in documents):
                kept[passage_id] = passage
            else:
                rejects.append(
                    _reject(line, passage, f"the passage id belongs to the document {owner!r}")
                )
        plan = plan_change(kept, current, whole=replace)
        apply_plan(cursor, plan, now_utc())
        if plan.fresh or plan.dropped:
            owe_check(cursor)
        return CorpusChange(
            added=len(plan.fresh) - len(plan.superseded),
            replaced=len(plan.superseded),
            removed=len(plan.dropped),
            unchanged=len(kept) - len(plan.fresh),
            rejects=tuple(sorted(rejects, key=lambda reject: reject.line)),
        )

    return lake.write(change)


def remove_documents(lake: Lake, document_ids: Sequence[str]) -> int:
    """Take documents out of the corpus; their rows stay, with a ``removed_at``. Returns how many
    passages went."""

    def remove(cursor: duckdb.DuckDBPyConnection) -> int:
        gone = list(current_rows(cursor, [], set(document_ids)))
        retire(cursor, gone, now_utc())
        if gone:
            owe_check(cursor)
        return len(gone)

    return lake.write(remove)


def unknown_documents(lake: Lake, document_ids: Iterable[str]) -> list[str]:
    """Those that the corpus never held, in the order given, each once. A document that was removed
    is known: its rows stay."""
    given = list(dict.fromkeys(document_ids))
    table = lake.table(
        "select distinct document_id from passages "
        "where document_id in (select unnest(?::varchar[]))",
        [given],
    )
    known = set(table["document_id"].to_pylist())
    return [name for name in given if name not in known]


def load_passages(lake: Lake) -> list[Passage]:
    """The current corpus, ordered by document, position and id."""
    return read_passages(
        lake.table(
            f"select {FIELDS} from current_passages order by document_id, position, passage_id"
        )
    )


def load_contents(lake: Lake) -> dict[str, str]:
    """Passage → content hash of the current corpus."""
    table = lake.table("select passage_id, content_hash from current_passages")
    columns = [table[name].to_pylist() for name in ("passage_id", "content_hash")]
    return dict(zip(*columns, strict=True))


def load_passages_by_id(lake: Lake, passage_ids: Iterable[str]) -> dict[str, Passage]:
    """The current passage of each id, else the one removed last; unknown ids are left out."""
    table = lake.table(
        f"select {FIELDS} from passages where passage_id in (select unnest(?::varchar[])) "
        "qualify row_number() over (partition by passage_id "
        "order by removed_at desc nulls first, ingested_at desc) = 1",
        [sorted(set(passage_ids))],
    )
    return {passage.passage_id: passage for passage in read_passages(table)}


def load_build_passages(lake: Lake, pairs: Sequence[tuple[str, str]]) -> list[Passage]:
    """The content that an index build was made from: one passage for each (passage_id,
    content_hash), in that order, removed ones included. StoreError names one that is missing."""
    table = lake.table(
        f"select {FIELDS} from passages where (passage_id, content_hash) in "
        "(select unnest($ids::varchar[]), unnest($hashes::varchar[])) "
        "order by removed_at nulls last",
        {"ids": [pair[0] for pair in pairs], "hashes": [pair[1] for pair in pairs]},
    )
    found = {
        (passage.passage_id, passage.content_hash): passage for passage in read_passages(table)
    }
    missing = next((pair for pair in pairs if pair not in found), None)
    if missing is not None:
        raise StoreError(
            f"the passage {missing[0]!r} is not in the lake as the index build has it",
            remedy="build the index again (ragdiag index build VERSION)",
        )
    return [found[pair] for pair in pairs]


def removed_passages(lake: Lake, passage_ids: Sequence[str]) -> set[str]:
    """Those of ``passage_ids`` that are in the corpus no more; other content under an id is not
    gone."""
    rows = lake.rows(
        "select distinct id from (select unnest($ids::varchar[]) as id) "
        "where id not in (select passage_id from current_passages)",
        {"ids": list(passage_ids)},
    )
    return {row["id"] for row in rows}


def load_successor_metadata(lake: Lake, passages: Sequence[Passage]) -> dict[str, PassageMetadata]:
    """Of those of ``passages`` whose content the corpus has replaced: what it says of the passage
    that has their id now."""
    table = lake.table(
        f"select {FIELDS} from current_passages join "
        "(select unnest($ids::varchar[]) as id, unnest($hashes::varchar[]) as hash) "
        "on passage_id = id and content_hash <> hash",
        {
            "ids": [passage.passage_id for passage in passages],
            "hashes": [passage.content_hash for passage in passages],
        },
    )
    return {passage.passage_id: passage.metadata for passage in read_passages(table)}


def removal_mark(lake: Lake) -> tuple[int, str]:
    """Changes whenever passages leave the corpus or make room for others of their id."""
    row = lake.rows("select count(removed_at) as n, max(removed_at) as last from passages")[0]
    return row["n"], str(row["last"])


def corpus_hash(passages: Iterable[Passage]) -> str:
    """SHA-256 of ids, content and metadata, in whatever order the passages come. A passage without
    metadata counts as it did before there were any."""
    digest = hashlib.sha256()
    for passage in sorted(passages, key=lambda one: (one.passage_id, one.content_hash)):
        known = _metadata_text(passage.metadata)
        digest.update(f"{passage.passage_id}\0{passage.content_hash}{known}\n".encode())
    return digest.hexdigest()


def _metadata_text(metadata: PassageMetadata) -> str:
    if metadata == NO_METADATA:
        return ""
    at = metadata.published_at
    moment = None if at is None else to_naive_utc(at).isoformat()
    return "\0" + json.dumps([metadata.tenant, metadata.topic, moment, *metadata.roles])


def _usable(given: Sequence[Passage]) -> tuple[dict[str, tuple[int, Passage]], list[Reject]]:
    """The passages that can be stored, by id, with their number in the call."""
    offered: dict[str, tuple[int, Passage]] = {}
    rejects = []
    for line, passage in enumerate(given, start=1):
        if not passage.passage_id.strip():
            rejects.append(_reject(line, passage, "empty passage id"))
        elif not passage.document_id.strip():
            rejects.append(_reject(line, passage, "empty document id"))
        elif not passage.text.strip():
            rejects.append(_reject(line, passage, "empty text"))
        elif not is_unicode("".join(_texts(passage))):
            rejects.append(_reject(line, passage, "not valid Unicode (a lone surrogate or a NUL)"))
        elif (at := passage.metadata.published_at) is not None and at.tzinfo is None:
            rejects.append(_reject(line, passage, "published_at has no time zone"))
        elif passage.passage_id in offered:
            rejects.append(_reject(line, passage, "duplicate passage id"))
        else:
            offered[passage.passage_id] = (line, passage)
    return offered, rejects


def _texts(passage: Passage) -> Iterator[str]:
    yield from (passage.passage_id, passage.document_id, passage.title, passage.text)
    yield from (passage.metadata.tenant, passage.metadata.topic, *passage.metadata.roles)


def _reject(line: int, passage: Passage, reason: str) -> Reject:
    body = ascii((passage.document_id, passage.passage_id, passage.text[:200]))
    return Reject("passages", line, reason, body)
