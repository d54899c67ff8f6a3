"""Records on their way into the lake, without what may not be stored.

Everything that has a text passes here before it is compared, stored, rejected or archived.
Requests that ragdiag itself asked (evaluation, replay) keep their texts where texts are not
stored: their questions are in the lake anyway, and no user wrote them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from ragdiag.privacy.screening import Screen
from ragdiag.records import Grade, Passage, Reject, Request, Span
from ragdiag.store.kinds import Record

R = TypeVar("R")

OWN_TRAFFIC = ("evaluation", "replay")
_TEXTS: Mapping[type, tuple[str, ...]] = {
    Request: ("question", "answer", "error"),
    Grade: ("reason",),
    Passage: ("title", "text"),
    Span: ("error",),
}
_LABELS: Mapping[type, tuple[str, ...]] = {
    Request: ("topic", "degraded_reason", "tenant"),
    Span: ("name",),
}
_LABEL_LISTS: Mapping[type, tuple[str, ...]] = {Request: ("roles", "only_topics")}
"""What people wrote, and what names or explains and is only redacted."""

SCREENED_TEXTS = (*_TEXTS[Request], *_LABELS[Request], *_LABEL_LISTS[Request])


def screen_records(
    screen: Screen, records: Sequence[Record], *, foreign: bool = False
) -> list[Record]:
    """The records as they may be stored, in their order; one that may stay is itself returned.
    ``foreign``: none of them was asked by ragdiag itself, whatever its traffic."""
    spans = iter(screen_spans(screen, [one for one in records if isinstance(one, Span)]))
    screened = [next(spans) if isinstance(one, Span) else one for one in records]
    if screen.is_open:
        return screened
    for kind, fields in _TEXTS.items():
        rows = [i for i, record in enumerate(screened) if type(record) is kind]
        hidden = [i for i in rows if foreign or _is_foreign(screened[i])]
        for name in fields:
            _exchange(screened, sorted(set(rows) - set(hidden)), name, screen.redact)
            _exchange(screened, hidden, name, screen.conceal)
        for name in _LABELS.get(kind, ()):
            _exchange(screened, rows, name, screen.redact)
        for name in _LABEL_LISTS.get(kind, ()):
            _exchange(screened, rows, name, partial(_redact_lists, screen))
    return screened


def screen_spans(screen: Screen, spans: Sequence[Span]) -> list[Span]:
    """The attributes of spans, of their events and resources as they may be stored; a span that
    may stay is itself returned."""
    given = [
        attributes
        for span in spans
        for attributes in (
            span.attributes,
            span.resource,
            *(event.attributes for event in span.events),
        )
    ]
    screened = iter(screen.attributes(given))
    kept = []
    for span in spans:
        changed = replace(
            span,
            attributes=next(screened),
            resource=next(screened),
            events=tuple(replace(event, attributes=next(screened)) for event in span.events),
        )
        kept.append(span if changed == span else changed)
    return kept


def screen_requests(screen: Screen, table: Any) -> Any:
    """As :func:`screen_records` for a table with the columns of ``requests``, raw user ids as
    pseudonyms."""
    came = table["user_key"]
    if (users := screen.users(came)) is not came:
        table = _put(table, "user_key", users)
    if screen.is_open:
        return table
    foreign = pc.invert(pc.is_in(table["traffic"], pa.array(OWN_TRAFFIC)))
    for hidden, names in ((foreign, _TEXTS[Request]), (None, _LABELS[Request])):
        for name in names:
            table = _put(table, name, screen.column(table[name], hidden=hidden))
    for name in _LABEL_LISTS[Request]:
        column = table[name]
        came = column.to_pylist() if column.null_count < len(column) else []
        if (kept := _redact_lists(screen, came)) != came:
            table = _put(table, name, pa.array(kept, column.type))
    return table


def _put(table: Any, name: str, column: Any) -> Any:
    """``table`` with ``column`` in place of its own."""
    return table.set_column(table.column_names.index(name), table.schema.field(name), column)


def screen_rejects(screen: Screen, rejects: Sequence[Reject]) -> list[Reject]:
    """Rejects with nothing in their bodies and reasons that may not be stored."""
    bodies = screen.bodies([reject.body for reject in rejects])
    reasons = screen.redact([reject.reason for reject in rejects])
    return [
        replace(reject, body=body, reason=reason or "")
        for reject, body, reason in zip(rejects, bodies, reasons, strict=True)
    ]


def redact_fields(screen: Screen, records: Iterable[R], name: str) -> list[R]:
    """Grades or replays that ragdiag made, with one text field redacted."""
    changed: list[Any] = list(records)
    _exchange(changed, list(range(len(changed))), name, screen.redact)
    return changed


def _redact_lists(screen: Screen, lists: Sequence[Sequence[str] | None]) -> list[Any]:
    """Each list with its texts redacted, of the type that it has."""
    texts = iter(screen.redact([text for one in lists for text in one or ()]))
    return [None if one is None else type(one)(islice(texts, len(one))) for one in lists]  # type: ignore[call-arg]


def _is_foreign(record: Record) -> bool:
    return not (isinstance(record, Request) and record.traffic in OWN_TRAFFIC)


def _exchange(records: list[Any], rows: Sequence[int], name: str, change: Any) -> None:
    """Put what ``change`` makes of a field into the records of ``rows`` where it differs."""
    before = [getattr(records[row], name) for row in rows]
    for row, old, new in zip(rows, before, change(before) if rows else (), strict=True):
        if new != old:
            records[row] = replace(records[row], **{name: new})
