"""The kinds of record that the spool carries, what a line says of each, and what names it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from ragdiag.records import (
    FILTERS,
    ContextHit,
    Feedback,
    Grade,
    Hit,
    Passage,
    Reject,
    Request,
    Span,
    SpanEvent,
)

SCHEMA = 2
"""Of the lines that are written. Since 2 a list of hits is columns: half the bytes, and twice as
fast to read."""

READ_SCHEMAS = (1, SCHEMA)
"""Of the lines that are read; those of a later one are refused. In 1 a hit is an object."""

HIT_FIELDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("lexical", "dense", "fused", "reranked"), ("passage_id", "score")),
    "context": ("passage_id", "score", "chars"),
}
"""The lists of hits of a request, and the columns of each in a line."""

FEEDBACK_KIND = "feedback_kind"
"""What a line calls ``Feedback.kind``: ``kind`` already says which record the line is."""

REFUSED = "refused"
"""Kind of a line that is no record: what a receiver turned away, on its way to ``rejects``."""

Record = Request | Feedback | Grade | Passage | Span

KINDS: Mapping[str, type[Record]] = {
    "request": Request,
    "feedback": Feedback,
    "grade": Grade,
    "passage": Passage,
    "span": Span,
}
"""A ``passage`` line is a text that a service retrieved, from a corpus that may not be ours."""

_NAMES = {record: kind for kind, record in KINDS.items()}


def line_fields(record: type[Record]) -> tuple[str, ...]:
    """What of a record a line holds; the metadata of a passage are for our own indexes alone, the
    sentences of a grade from our own graders."""
    own = {Passage: "metadata", Grade: "sentences"}.get(record)
    return tuple(name for name in record.__dataclass_fields__ if name != own)


def kind_of(record: Record) -> str:
    return _NAMES[type(record)]


def identity(record: Record) -> tuple[str, str]:
    """Kind and key: of two records with one identity the first stays.

    Grades and passages have no id of their own. Their content is their key, so a second opinion
    and a changed text are kept, and a repeated line is passed over.
    """
    match record:
        case Request():
            key = record.request_id
        case Feedback():
            key = record.feedback_id
        case Span():
            key = f"{record.trace_id}/{record.span_id}"
        case Passage():
            key = f"{record.passage_id}/{record.content_hash}"
        case Grade():
            key = sha256(json.dumps(record_to_json(record)).encode()).hexdigest()
    return kind_of(record), key


def record_to_json(record: Record) -> dict[str, Any]:
    """What a line says: ``kind``, ``schema`` and the record's own fields.

    Times are ISO 8601 with their offset; a list of hits is one list of ids, one of scores and,
    for the context, one of characters; an absent list is null. An absent filter has no field.
    """
    fields = {
        name: _hit_columns(name, value) if name in HIT_FIELDS else _plain(value)
        for name in line_fields(type(record))
        for value in (getattr(record, name),)
        if value is not None or name not in FILTERS
    }
    if isinstance(record, Feedback):
        fields[FEEDBACK_KIND] = fields.pop("kind")
    return {"kind": kind_of(record), "schema": SCHEMA, **fields}


def reject_to_json(reject: Reject) -> dict[str, Any]:
    """What a line says from which ingest makes the reject, with the segment as its source."""
    return {"kind": REFUSED, "schema": SCHEMA, "reason": reject.reason, "excerpt": reject.body}


def _hit_columns(name: str, hits: Sequence[Hit | ContextHit] | None) -> dict[str, Any] | None:
    if hits is None:
        return None
    return {field: [getattr(hit, field) for hit in hits] for field in HIT_FIELDS[name]}


def _plain(value: Any) -> Any:
    match value:
        case SpanEvent():
            return {"name": value.name, "at": _plain(value.at), "attributes": value.attributes}
        case tuple() | list():
            return [_plain(item) for item in value]
        case datetime():
            if value.tzinfo is None:
                raise ValueError(f"the time {value} has no zone")
            return value.astimezone(UTC).isoformat()
        case str() | int() | float() | None:
            return value
        case _:
            return dict(value)
