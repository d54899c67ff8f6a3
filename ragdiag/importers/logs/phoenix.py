"""Arize Phoenix's exports: its dataframe of spans as Parquet, CSV or JSON lines, its API's pages,
and its annotations.

Source: arize-phoenix-client 3.5.0, ``resources/spans`` (``get_spans_dataframe``: columns
``context.span_id``, ``context.trace_id``, ``parent_id``, ``name``, ``span_kind``, ``start_time``,
``end_time``, ``status_code``, ``status_message``, ``events``, ``attributes.*``;
``get_span_annotations_dataframe``: ``span_id``, ``annotation_name``, ``annotator_kind``,
``result.score``, ``result.label``, ``result.explanation``) and ``__generated__/v1`` (``Span``,
``SpanAnnotation``). Attributes are OpenInference's. Annotations name spans alone, so they are
imported with the spans, as files of one folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ragdiag.importers.logs.detect import is_annotation
from ragdiag.importers.logs.mapping import TimeTable
from ragdiag.importers.logs.reading import Reading, Row
from ragdiag.importers.logs.trace_format import Piece, count_unread, read_spans, short
from ragdiag.importers.logs.values import (
    BadValue,
    of_field,
    read_json,
    read_number,
    read_time,
    without_nan,
)
from ragdiag.records import Span, SpanEvent, SpanStatus
from ragdiag.spans.conventions import OPENINFERENCE_KIND
from ragdiag.spans.feedback import Opinion, to_records

_STATUSES: Mapping[str, SpanStatus] = {"OK": "ok", "ERROR": "error"}
_OF_SPANS = {
    *("context", "context.trace_id", "context.span_id", "parent_id", "name", "span_kind"),
    *("start_time", "end_time", "status_code", "status_message", "events", "attributes"),
}
_OF_ANNOTATIONS = {
    *("span_id", "context.span_id", "annotation_name", "name", "annotator_kind", "id"),
    *("identifier", "created_at", "result", "score", "label", "explanation"),
    *("result.score", "result.label", "result.explanation"),
}
"""The columns that are read, beside ``attributes.*``."""
MAX_ANNOTATIONS = 1_000_000


class PhoenixFormat:
    """Annotations are held from the first pass on, until their span comes in the second."""

    def __init__(self, user_key: Callable[[str], str], unread: Counter[str]) -> None:
        self._user_key = user_key
        self._unread = unread
        self._annotations: dict[str, list[tuple[Row, Mapping[str, Any]]]] = {}
        self._held = 0

    def pieces(self, row: Row, *, again: bool) -> Iterator[Piece | Reading]:
        row = Row(row.origin, without_nan(row.values))
        if is_annotation(row.values):
            if not again:
                count_unread(self._unread, row.values, _OF_ANNOTATIONS.__contains__)
                self._hold(row)
            elif self._held > MAX_ANNOTATIONS:
                yield Reading(row.origin, fault=f"more than {MAX_ANNOTATIONS} annotations")
            return
        if not again:
            count_unread(self._unread, row.values, _is_of_spans)
        try:
            span = read_span(row.values)
        except BadValue as error:
            yield Reading(row.origin, fault=str(error))
            return
        yield Piece(span.trace_id, short(row.origin), span)

    def read(self, pieces: Sequence[Piece]) -> Iterator[Reading]:
        spans = [piece.content for piece in pieces]
        opinions: list[Opinion] = []
        for span in spans:
            for row, values in self._annotations.pop(span.span_id, ()):
                try:
                    opinions.append(_opinion(span, values))
                except BadValue as error:
                    yield Reading(row.origin, fault=str(error))
        yield from read_spans(spans, pieces[0].origin, self._user_key, to_records(opinions))

    def left_over(self) -> Iterator[Reading]:
        for span_id, held in self._annotations.items():
            for row, _ in held:
                fault = f"the annotation is about the span {span_id[:40]!r}, which is not here"
                yield Reading(row.origin, fault=fault)

    def _hold(self, row: Row) -> None:
        self._held += 1
        values = row.values
        span_id = values.get("span_id") or values.get("context.span_id") or ""
        if self._held <= MAX_ANNOTATIONS:
            kept = Row(short(row.origin))
            self._annotations.setdefault(str(span_id), []).append((kept, values))


def _is_of_spans(column: str) -> bool:
    return column in _OF_SPANS or column.startswith("attributes.")


def read_span(values: Mapping[str, Any]) -> Span:
    """A row of the dataframe, or an object of the API, as a span. Raises BadValue."""
    context = _mapping(values.get("context"))
    trace_id = str(values.get("context.trace_id") or context.get("trace_id") or "")
    span_id = str(values.get("context.span_id") or context.get("span_id") or "")
    if not trace_id or not span_id:
        raise BadValue("a span without trace id or span id")
    started, ended = (_time(values, name) for name in ("start_time", "end_time"))
    started = started or ended
    if started is None:
        raise BadValue("a span without a start time")
    attributes = _attributes(values)
    kind = values.get("span_kind")
    if kind and kind != "UNKNOWN":
        attributes.setdefault(OPENINFERENCE_KIND, str(kind).upper())
    status = _STATUSES.get(str(values.get("status_code")).upper(), "unset")
    message = str(values.get("status_message") or "") or str(values.get("name") or "error")
    parent = values.get("parent_id")
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=str(parent) if parent else None,
        name=str(values.get("name") or ""),
        started_at=started,
        ended_at=max(ended or started, started),
        attributes=attributes,
        events=_events(values.get("events"), started),
        status=status,
        error=message if status == "error" else None,
    )


def _attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """``attributes.x.y`` columns, or the API's mapping; JSON text is parsed, absent cells left out.

    Columns of namespaces (``attributes.llm``) may hold mappings: they are written out in dots.
    """
    found: dict[str, Any] = {}
    for name, value in _mapping(read_json(values.get("attributes"))).items():
        _spread(str(name), value, found)
    for column, cell in values.items():
        if column.startswith("attributes.") and cell is not None:
            value = read_json(cell) if not column.endswith(".value") else cell
            _spread(column.removeprefix("attributes."), value, found)
    return found


def _spread(name: str, value: Any, found: dict[str, Any]) -> None:
    if isinstance(value, Mapping) and not name.endswith(("metadata", "value")):
        for key, inner in value.items():
            _spread(f"{name}.{key}", inner, found)
    elif value is not None and value == value:  # JSON in a cell may have NaN as well
        found[name] = (
            _number(value) if name.startswith(("llm.token_count.", "llm.cost.")) else value
        )


def _number(value: Any) -> Any:
    """CSV writes counts as text, and as fractions where a column has gaps."""
    try:
        number = read_number(value)
    except BadValue:
        return value
    return int(number) if number == int(number) else number


def _events(given: Any, at: datetime) -> tuple[SpanEvent, ...]:
    listed = read_json(given)
    events = []
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, Mapping) and one.get("name"):
            when = _time(one, "timestamp") or at
            events.append(SpanEvent(str(one["name"]), when, _mapping(one.get("attributes"))))
    return tuple(events)


def _opinion(span: Span, values: Mapping[str, Any]) -> Opinion:
    """Raises BadValue for an annotation that says nothing, or not when."""
    result = _mapping(without_nan(read_json(values.get("result"))))
    said: dict[str, Any] = {}
    for key in ("score", "label", "explanation"):
        places = (values.get(f"result.{key}"), values.get(key), result.get(key))
        said[key] = next((one for one in places if one is not None), None)
    name = str(values.get("annotation_name") or values.get("name") or "").strip()
    try:
        score = None if said["score"] in (None, "") else float(said["score"])
    except (TypeError, ValueError, OverflowError):
        score = None
    label, explanation = str(said["label"] or ""), str(said["explanation"] or "")
    if not name or (score is None and not label and not explanation):
        raise BadValue("the annotation says nothing")
    identifier = str(values.get("id") or f"{span.span_id}/{name}/{values.get('identifier') or ''}")
    human = str(values.get("annotator_kind")).upper() == "HUMAN"
    at = _time(values, "created_at") or span.ended_at
    return Opinion(span.trace_id, identifier, at, name, score, label, explanation, human)


def _time(values: Mapping[str, Any], name: str) -> datetime | None:
    value = values.get(name)
    if value is None or value == "":
        return None
    with of_field(name):
        return read_time(value, TimeTable())[0].astimezone(UTC)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
