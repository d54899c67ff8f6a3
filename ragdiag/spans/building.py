"""One span or event from its decoded parts, checked: the same rules for protobuf and JSON."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ragdiag.records import Reject, Span, SpanEvent, SpanStatus
from ragdiag.spans.bounds import MAX_NAME, clip_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
FUTURE = timedelta(days=1)
"""How far a clock may be ahead of ours before somebody should know."""

AHEAD = "begins more than a day from now: check the sender's clock"
"""What is remarked of such a span: it is taken, as a request from the future is."""

MAX_EXCERPT = 200
"""Characters of a refused span's name, and of each of its ids, that are kept."""

LINKS = "ragdiag.links"
"""The attribute under which a span keeps its links, as ``[{"trace_id", "span_id"}]``."""

_STATUSES: Mapping[int, SpanStatus] = {0: "unset", 1: "ok", 2: "error"}
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")


class BadSpan(Exception):
    """Why one span was not taken; the others of its request are. ``kind`` is the reason without
    its particulars, so that it can be counted."""

    def __init__(self, kind: str, reason: str = "") -> None:
        super().__init__(reason or kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class LogEvent:
    """An event that came as a log record, with the span it is about (which may be unknown)."""

    trace_id: str
    span_id: str
    event: SpanEvent


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one export held. ``refused`` counts all spans that were not taken by their kind of
    reason, ``rejects`` are the first of them, and a reject's ``line`` is the span's number in the
    export, counted from 1. ``remarks`` counts what is odd about spans that were taken."""

    spans: list[Span] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)

    def take(self, span: Span, now: datetime) -> None:
        self.spans.append(span)
        if span.started_at > now + FUTURE:
            self.remarks[AHEAD] += 1

    def refuse(self, number: int, bad: BadSpan, parts: Parts | None, most: int) -> None:
        """Count a span; of the first ``most`` keep what they are called, where that is known."""
        self.refused[bad.kind] += 1
        if len(self.rejects) < most:
            body = excerpt(parts.trace_id, parts.span_id, parts.name) if parts else ""
            self.rejects.append(Reject("otlp", number, str(bad), body))


@dataclass(frozen=True, slots=True)
class DecodedLogs:
    """As Decoded, of log records that are GenAI events; ``others`` counts the rest."""

    events: list[LogEvent] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    others: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """A span as decoded and not yet checked. Ids in hexadecimal, times in nanoseconds."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: int
    end: int
    attributes: Mapping[str, Any]
    events: Sequence[SpanEvent]
    status: int
    message: str
    links: Sequence[tuple[str, str]]


def excerpt(trace_id: str, span_id: str, name: str) -> str:
    """JSON of what a refused span is called, and nothing of what it says: whose it is, nobody can
    tell of a part of its attributes."""
    named = {"trace_id": trace_id, "span_id": span_id, "name": name}
    kept = {key: clip_text(text, MAX_EXCERPT) for key, text in named.items()}
    return json.dumps(kept, ensure_ascii=False)


def build_span(parts: Parts, resource: Mapping[str, Any], now: datetime) -> Span:
    """Raises BadSpan for an id of the wrong length, and for times that cannot be true."""
    if not _TRACE_ID.fullmatch(parts.trace_id):
        raise BadSpan(
            "bad trace id", f"trace id {parts.trace_id[:40]!r} is not 32 hexadecimal digits"
        )
    if not _SPAN_ID.fullmatch(parts.span_id):
        raise BadSpan("bad span id", f"span id {parts.span_id[:40]!r} is not 16 hexadecimal digits")
    parent = parts.parent_id
    if parent and not _SPAN_ID.fullmatch(parent):
        if parent.strip("0"):
            raise BadSpan(
                "bad parent id", f"parent id {parent[:40]!r} is not 16 hexadecimal digits"
            )
        parent = ""
    if parent == parts.span_id:
        raise BadSpan("its own parent", f"span {parent} is its own parent")
    started, ended = moment(parts.start), moment(parts.end)
    if started is None or started < EARLIEST:
        raise BadSpan("no start time", f"span {parts.span_id} has no start time")
    if ended is None or parts.end == 0:
        raise BadSpan("no end time", f"span {parts.span_id} has no end time")
    if ended < started:
        raise BadSpan("ends before it starts", f"span {parts.span_id} ends before it starts")
    if ended > now + FUTURE and ended - started > FUTURE:
        raise BadSpan(
            "ends in the future", f"span {parts.span_id} ends at {ended:%Y-%m-%d}, which is to come"
        )
    status = _STATUSES.get(parts.status, "unset")
    attributes = parts.attributes
    if parts.links:
        links = [{"trace_id": trace, "span_id": span} for trace, span in parts.links]
        attributes = {**attributes, LINKS: links}
    return Span(
        trace_id=parts.trace_id,
        span_id=parts.span_id,
        parent_id=parent or None,
        name=clip_text(parts.name, MAX_NAME),
        started_at=started,
        ended_at=ended,
        attributes=attributes,
        events=tuple(parts.events),
        status=status,
        error=_failure(parts) if status == "error" else None,
        resource=resource,
    )


def moment(nanoseconds: int) -> datetime | None:
    """A time of OTLP, to the microsecond; None where no calendar has it.

    >>> moment(1_700_000_000_123_456_789).isoformat()
    '2023-11-14T22:13:20.123456+00:00'
    """
    try:
        return EPOCH + timedelta(microseconds=nanoseconds // 1_000)
    except OverflowError:
        return None


def _failure(parts: Parts) -> str:
    """What the status says, else the first exception, else that there was one."""
    if parts.message:
        return clip_text(parts.message)
    for event in parts.events:
        if event.name == "exception":
            said = (event.attributes.get(f"exception.{key}") for key in ("type", "message"))
            if text := ": ".join(str(value) for value in said if value):
                return clip_text(text)
    return "error without a message"
