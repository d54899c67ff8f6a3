"""The kinds of record that the spool carries, what a line says of each, and what names it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from ragdiag.records import (
    ContextHit,
    Feedback,
    Grade,
    Hit,
    Passage,
    Request,
    Span,
    SpanEvent,
)

SCHEMA = 1
"""Of the lines; a reader refuses lines of a later one."""

FEEDBACK_KIND = "feedback_kind"
"""What a line calls ``Feedback.kind``: ``kind`` already says which record the line is."""

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

    Times are ISO 8601 with their offset, hits are objects, an absent list is null.
    """
    fields = {name: _plain(getattr(record, name)) for name in type(record).__dataclass_fields__}
    if isinstance(record, Feedback):
        fields[FEEDBACK_KIND] = fields.pop("kind")
    return {"kind": kind_of(record), "schema": SCHEMA, **fields}


def _plain(value: Any) -> Any:
    match value:
        case ContextHit():
            return {"passage_id": value.passage_id, "score": value.score, "chars": value.chars}
        case Hit():
            return {"passage_id": value.passage_id, "score": value.score}
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
