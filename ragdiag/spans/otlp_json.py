"""OTLP/JSON as spans and log events: what exporters send and what files carry.

Sources: the OTLP specification, "JSON Protobuf Encoding" (ids in hexadecimal, 64-bit integers as
text or numbers, enums as numbers, names in lowerCamelCase). Read as well, since they are met:
the original snake_case names, enums by name, and ids in base64 as protobuf's own JSON writes them.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from ragdiag.errors import InputError
from ragdiag.records import Reject, SpanEvent
from ragdiag.spans.bounds import MAX_EVENTS, MAX_NAME, ONE_EXPORT, ExportBounds, Room, clip_text
from ragdiag.spans.building import (
    BadSpan,
    Decoded,
    DecodedLogs,
    LogEvent,
    Parts,
    build_span,
    moment,
)
from ragdiag.spans.conventions import EVALUATION_EVENT
from ragdiag.spans.json_values import get_field, read_attributes, read_text, read_whole

_STATUS_NAMES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}


def spans_from_otlp_json(
    document: str | bytes | Mapping[str, Any] | list[Any],
    *,
    now: datetime | None = None,
    bounds: ExportBounds = ONE_EXPORT,
) -> Decoded:
    """Every span of one document, in any of the shapes in which they are met: an object with
    ``resourceSpans``, lines of such objects, a list of resourceSpans or of bare spans.

    ``document`` is text or what ``json.loads`` made of it. A bad span is rejected with its number
    and the reason. Raises InputError where it is not JSON or has no spans' shape, and TooMuch where
    it holds more than ``bounds`` allow.
    """
    now = now or datetime.now(UTC)
    decoded, room = Decoded(), Room(bounds)
    number = 0
    for part in parse_documents(document) if isinstance(document, (str, bytes)) else [document]:
        for group, spans in _walk(part, "Spans", "spans", room):
            resource = _resource(group)
            size = len(json.dumps(resource))
            for span in spans:
                room.take(size)
                number += 1
                parts = None
                try:
                    parts = _parts(span)
                    decoded.take(build_span(parts, resource, now), now)
                except BadSpan as bad:
                    decoded.refuse(number, bad, parts, bounds.rejects)
    return decoded


def logs_from_otlp_json(document: str | bytes, *, bounds: ExportBounds = ONE_EXPORT) -> DecodedLogs:
    """The evaluation events of an export of logs; raises as :func:`spans_from_otlp_json`."""
    events: list[LogEvent] = []
    rejects: list[Reject] = []
    refused: Counter[str] = Counter()
    number = others = 0
    room = Room(bounds)
    for part in parse_documents(document):
        for record in chain.from_iterable(r for _, r in _walk(part, "Logs", "logRecords", room)):
            room.take()
            number += 1
            try:
                found = _log_event(record)
            except BadSpan as bad:
                refused[bad.kind] += 1
                if len(rejects) < bounds.rejects:
                    rejects.append(Reject("otlp", number, str(bad)))
                continue
            others += found is None
            events += [found] if found else []
    return DecodedLogs(events, rejects, refused, others)


def parse_documents(text: str | bytes) -> list[Any]:
    """One JSON document, or one a line. Raises InputError."""
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError) as error:
        newline = "\n" if isinstance(text, str) else b"\n"
        lines = [line for line in text.split(newline) if line.strip()]  # type: ignore[arg-type]
        try:
            if len(lines) > 1:
                return [json.loads(line) for line in lines]
        except (ValueError, RecursionError):
            pass
        raise InputError(f"not JSON ({error})", remedy="send OTLP/JSON") from None


def _walk(
    document: Any, kind: str, leaves: str, room: Room
) -> Iterator[tuple[Mapping[str, Any], Iterable[Any]]]:
    """(What holds the resource, the spans or log records of it)."""
    groups = document
    if isinstance(document, Mapping):
        groups = get_field(document, f"resource{kind}")
        if groups is None and not document:
            groups = []
    if not isinstance(groups, list):
        raise InputError(f"not OTLP/JSON: no list of resource{kind}", remedy="send OTLP/JSON")
    for group in groups:
        room.take()
        if not isinstance(group, Mapping):
            yield {}, [group]
            continue
        scopes = get_field(group, f"scope{kind}")
        if scopes is None:
            scopes = get_field(group, f"instrumentationLibrary{kind}")
        if scopes is None and get_field(group, "traceId") is not None:
            yield group, [group]
        elif isinstance(scopes, list):
            yield group, _leaves(scopes, leaves, room)


def _leaves(scopes: list[Any], leaves: str, room: Room) -> Iterator[Any]:
    for scope in scopes:
        room.take()
        found = get_field(scope, leaves) if isinstance(scope, Mapping) else None
        yield from found if isinstance(found, list) else []


def _resource(group: Mapping[str, Any]) -> dict[str, Any]:
    resource = group.get("resource")
    return read_attributes(resource.get("attributes")) if isinstance(resource, Mapping) else {}


def _parts(span: Any) -> Parts:
    if not isinstance(span, Mapping):
        raise BadSpan("not an object")
    status = span.get("status")
    status = status if isinstance(status, Mapping) else {}
    code = status.get("code", 0)
    links = span.get("links")
    return Parts(
        trace_id=_hex(get_field(span, "traceId"), 16),
        span_id=_hex(get_field(span, "spanId"), 8),
        parent_id=_hex(get_field(span, "parentSpanId"), 8),
        name=read_text(span.get("name", "")),
        start=_nanoseconds(get_field(span, "startTimeUnixNano")),
        end=_nanoseconds(get_field(span, "endTimeUnixNano")),
        attributes=read_attributes(span.get("attributes")),
        events=_events(span),
        status=code if isinstance(code, int) else _STATUS_NAMES.get(str(code), 0),
        message=read_text(status.get("message", "")),
        links=[
            (_hex(get_field(link, "traceId"), 16), _hex(get_field(link, "spanId"), 8))
            for link in (links if isinstance(links, list) else [])[:MAX_EVENTS]
            if isinstance(link, Mapping)
        ],
    )


def _events(span: Mapping[str, Any]) -> list[SpanEvent]:
    events = span.get("events")
    start = _nanoseconds(get_field(span, "startTimeUnixNano"))
    return [
        SpanEvent(
            clip_text(read_text(event.get("name", "")), MAX_NAME),
            moment(_nanoseconds(get_field(event, "timeUnixNano")) or start) or datetime.now(UTC),
            read_attributes(event.get("attributes")),
        )
        for event in (events if isinstance(events, list) else [])[:MAX_EVENTS]
        if isinstance(event, Mapping)
    ]


def _log_event(record: Any) -> LogEvent | None:
    if not isinstance(record, Mapping):
        raise BadSpan("not an object")
    attributes = read_attributes(record.get("attributes"))
    name = read_text(get_field(record, "eventName") or attributes.get("event.name", ""))
    if name != EVALUATION_EVENT:
        return None
    at = _nanoseconds(get_field(record, "timeUnixNano")) or _nanoseconds(
        get_field(record, "observedTimeUnixNano")
    )
    event = SpanEvent(name, (at and moment(at)) or datetime.now(UTC), attributes)
    return LogEvent(
        _hex(get_field(record, "traceId"), 16), _hex(get_field(record, "spanId"), 8), event
    )


def _hex(value: Any, size: int) -> str:
    """An id in lower-case hexadecimal; what is none is handed on for the message."""
    if not isinstance(value, str):
        return "" if value is None else str(value)[:100]
    if len(value) == -(-size // 3) * 4:
        try:
            return base64.b64decode(value, validate=True).hex()
        except (binascii.Error, ValueError):
            pass
    return read_text(value[:100]).lower()


def _nanoseconds(value: Any) -> int:
    whole = read_whole(value)
    return whole if isinstance(whole, int) and whole > 0 else 0
