"""OTLP protobuf (opentelemetry-proto v1) as spans and log events; a bad one never costs the rest.

Sources: opentelemetry/proto/collector/trace/v1 and logs/v1 of the package opentelemetry-proto.
Attributes become plain JSON: bytes are base64 text, NaN and infinities their names. Limits are in
``bounds``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ragdiag.errors import InputError
from ragdiag.records import SpanEvent
from ragdiag.spans.bounds import (
    CUT_ATTRIBUTES,
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_EVENTS,
    MAX_ITEMS,
    MAX_KEY,
    MAX_NAME,
    ONE_EXPORT,
    TOO_DEEP,
    ExportBounds,
    Room,
    clip_text,
    cut_items,
    is_vector,
    plain_number,
    too_many_parts,
)
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
from ragdiag.spans.wire import has_more_parts


def decode_traces(
    body: bytes, *, now: datetime | None = None, bounds: ExportBounds = ONE_EXPORT
) -> Decoded:
    """Every span of an ExportTraceServiceRequest.

    A span whose ids or times cannot be true is rejected with its number and the reason. Raises
    InputError where ``body`` is no such message, nested deeper than protobuf reads (100), or has
    text that is not UTF-8, and TooMuch where it holds more than ``bounds`` allow.
    """
    request = ExportTraceServiceRequest()
    _parse(request, body, bounds)
    now = now or datetime.now(UTC)
    decoded, room = Decoded(), Room(bounds)
    number = 0
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        size = len(json.dumps(resource))
        for scope in group.scope_spans:
            for span in scope.spans:
                room.take(size)
                number += 1
                parts = _parts(span)
                try:
                    decoded.take(build_span(parts, resource, now), now)
                except BadSpan as bad:
                    decoded.refuse(number, bad, parts, bounds.rejects)
    return decoded


def decode_logs(body: bytes, *, bounds: ExportBounds = ONE_EXPORT) -> DecodedLogs:
    """The evaluation events of an ExportLogsServiceRequest; raises as :func:`decode_traces`."""
    request = ExportLogsServiceRequest()
    _parse(request, body, bounds)
    events: list[LogEvent] = []
    others = 0
    for group in request.resource_logs:
        for scope in group.scope_logs:
            for record in scope.log_records:
                attributes = _attributes(record.attributes)
                name = record.event_name or str(attributes.get("event.name", ""))
                if name != EVALUATION_EVENT:
                    others += 1
                    continue
                at = record.time_unix_nano or record.observed_time_unix_nano
                event = SpanEvent(name, (at and moment(at)) or datetime.now(UTC), attributes)
                events.append(LogEvent(record.trace_id.hex(), record.span_id.hex(), event))
    return DecodedLogs(events, others=others)


def _parse(request: Any, body: bytes, bounds: ExportBounds) -> None:
    if has_more_parts(body, bounds.parts):
        raise too_many_parts(bounds)
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise InputError(
            f"not a protobuf {type(request).__name__} ({error})",
            remedy="send OTLP protobuf, or OTLP/JSON as application/json",
        ) from None


def _parts(span: Any) -> Parts:
    attributes = _attributes(span.attributes)
    return Parts(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=attributes,
        events=_events(span) if span.events else (),
        status=span.status.code,
        message=span.status.message,
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links[:MAX_EVENTS]],
    )


def _events(span: Any) -> list[SpanEvent]:
    return [
        SpanEvent(
            clip_text(event.name, MAX_NAME),
            moment(event.time_unix_nano or span.start_time_unix_nano) or datetime.now(UTC),
            _attributes(event.attributes),
        )
        for event in span.events[:MAX_EVENTS]
    ]


def _attributes(pairs: Sequence[Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for pair in pairs[:MAX_ATTRIBUTES]:
        key = pair.key
        if key and not is_vector(key):
            kept[clip_text(key, MAX_KEY)] = _plain(pair.value, 1)
    if len(pairs) > MAX_ATTRIBUTES:
        kept[CUT_ATTRIBUTES] = len(pairs) - MAX_ATTRIBUTES
    return kept


def _plain(value: Any, depth: int) -> Any:
    match value.WhichOneof("value"):
        case "string_value":
            return clip_text(value.string_value)
        case "int_value":
            return value.int_value
        case "double_value":
            return plain_number(value.double_value)
        case "bool_value":
            return value.bool_value
        case "array_value":
            return _plain_items(value.array_value.values, depth)
        case "kvlist_value":
            return _plain_pairs(value.kvlist_value.values, depth)
        case "bytes_value":
            return clip_text(base64.b64encode(value.bytes_value).decode())
        case _:
            return None


def _plain_items(values: Any, depth: int) -> Any:
    if depth >= MAX_DEPTH:
        return TOO_DEEP
    items = [_plain(item, depth + 1) for item in values[:MAX_ITEMS]]
    return items if len(values) <= MAX_ITEMS else [*items, cut_items(len(values))]


def _plain_pairs(pairs: Any, depth: int) -> Any:
    if depth >= MAX_DEPTH:
        return TOO_DEEP
    kept = {clip_text(p.key, MAX_KEY): _plain(p.value, depth + 1) for p in pairs[:MAX_ITEMS]}
    return kept if len(pairs) <= MAX_ITEMS else {**kept, "": cut_items(len(pairs))}
