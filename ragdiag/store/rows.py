"""Records as rows of the lake, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pyarrow as pa

from ragdiag.records import (
    LATENCY_STAGES,
    ContextHit,
    Feedback,
    Grade,
    Hit,
    Passage,
    Request,
    SentenceSupport,
    Span,
    SpanEvent,
)
from ragdiag.store.kinds import line_fields, record_to_json
from ragdiag.store.times import to_aware_utc, to_naive_utc

_HIT_LISTS = ("lexical", "dense", "fused", "reranked")
_LISTS, _TIMES = ("roles", "only_topics"), ("only_since", "only_until")
_SPECIAL = {*_HIT_LISTS, *_LISTS, *_TIMES, "context", "asked_at", "citations", "latency_ms"}
_PLAIN = tuple(name for name in Request.__dataclass_fields__ if name not in _SPECIAL)
"""Fields that are columns as they are."""
_SPAN_JSON = ("attributes", "events", "resource")


def request_row(request: Request, rel: Sequence[int] | None, segment: str) -> dict[str, Any]:
    return {
        **{name: getattr(request, name) for name in _PLAIN},
        **{f"{stage}_ms": request.latency_ms.get(stage) for stage in LATENCY_STAGES},
        **{name: _hits(getattr(request, name)) for name in _HIT_LISTS},
        **{name: _apply(list, getattr(request, name)) for name in _LISTS},
        **{name: _apply(to_naive_utc, getattr(request, name)) for name in _TIMES},
        "asked_at": to_naive_utc(request.asked_at),
        "citations": list(request.citations),
        "context": [
            {"passage_id": hit.passage_id, "score": hit.score, "chars": hit.chars}
            for hit in request.context
        ],
        "rel": rel,
        "segment": segment,
    }


def feedback_row(feedback: Feedback) -> dict[str, Any]:
    row = {name: getattr(feedback, name) for name in Feedback.__dataclass_fields__}
    return {**row, "given_at": to_naive_utc(feedback.given_at)}


def feedback_from_row(row: Mapping[str, Any]) -> Feedback:
    at, certain = to_aware_utc(row["given_at"]), bool(row["certain"])  # null in older rows
    return Feedback(**{**row, "given_at": at, "certain": certain})


def grade_row(grade: Grade, graded_at: datetime) -> dict[str, Any]:
    row = asdict(grade)
    sentences = json.dumps(row["sentences"]) if grade.sentences else None
    return {**row, "sentences": sentences, "graded_at": graded_at}


def grade_from_row(row: Mapping[str, Any]) -> Grade:
    told = {name: row[name] for name in Grade.__dataclass_fields__}
    return Grade(**{**told, "sentences": sentences_from(row["sentences"])})


def sentences_from(column: str | None) -> tuple[SentenceSupport, ...]:
    """None where a grader judges no sentences, or judged them before they were kept."""
    return tuple(SentenceSupport(**one) for one in json.loads(column or "[]"))


def passage_row(passage: Passage, logged_at: datetime) -> dict[str, Any]:
    return {**asdict(passage), "content_hash": passage.content_hash, "logged_at": logged_at}


def passage_from_row(row: Mapping[str, Any]) -> Passage:
    return Passage(**{name: row[name] for name in line_fields(Passage)})


def span_row(span: Span, segment: str, received_at: datetime) -> dict[str, Any]:
    body = record_to_json(span)
    return {
        **{name: body[name] for name in Span.__dataclass_fields__},
        **{name: json.dumps(body[name]) for name in _SPAN_JSON},
        "started_at": to_naive_utc(span.started_at),
        "ended_at": to_naive_utc(span.ended_at),
        "segment": segment,
        "received_at": received_at,
    }


def span_from_row(row: Mapping[str, Any]) -> Span:
    events = (
        SpanEvent(event["name"], datetime.fromisoformat(event["at"]), event["attributes"])
        for event in json.loads(row["events"])
    )
    return Span(
        **{
            **{name: row[name] for name in Span.__dataclass_fields__},
            "attributes": json.loads(row["attributes"]),
            "resource": json.loads(row["resource"]),
            "events": tuple(events),
            "started_at": to_aware_utc(row["started_at"]),
            "ended_at": to_aware_utc(row["ended_at"]),
        }
    )


def requests_from_table(table: pa.Table) -> list[Request]:
    """Rows of ``requests`` as records, in their order.

    Lists of hits are read column by column: a request may have hundreds of hits.
    """
    plain = zip(*(table[name].to_pylist() for name in _PLAIN), strict=True)
    latencies = zip(*(table[f"{stage}_ms"].to_pylist() for stage in LATENCY_STAGES), strict=True)
    lists = zip(*(table[name].to_pylist() for name in _LISTS), strict=True)
    times = zip(*(table[name].to_pylist() for name in _TIMES), strict=True)
    columns = zip(
        plain,
        lists,
        times,
        table["asked_at"].to_pylist(),
        table["citations"].to_pylist(),
        latencies,
        *(_read_hits(table[name], Hit) for name in _HIT_LISTS),
        _read_hits(table["context"], ContextHit),
        strict=True,
    )
    return [
        Request(
            **dict(zip(_PLAIN, values, strict=True)),
            **{name: _apply(tuple, one) for name, one in zip(_LISTS, named, strict=True)},
            **{name: _apply(to_aware_utc, at) for name, at in zip(_TIMES, bounds, strict=True)},
            asked_at=to_aware_utc(asked_at),
            citations=tuple(citations),
            latency_ms=_measured(latency),
            lexical=lexical,
            dense=dense,
            fused=fused or (),
            reranked=reranked,
            context=context or (),
        )
        for (
            values,
            named,
            bounds,
            asked_at,
            citations,
            latency,
            lexical,
            dense,
            fused,
            reranked,
            context,
        ) in columns
    ]


def _apply(change: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else change(value)


def _measured(latency: Sequence[float | None]) -> dict[str, float]:
    pairs = zip(LATENCY_STAGES, latency, strict=True)
    return {stage: value for stage, value in pairs if value is not None}


def _hits(hits: Iterable[Hit] | None) -> list[dict[str, Any]] | None:
    if hits is None:
        return None
    return [{"passage_id": hit.passage_id, "score": hit.score} for hit in hits]


def _read_hits(column: pa.ChunkedArray, record: Any) -> Iterator[tuple[Any, ...] | None]:
    """Each list of structs in ``column`` as a tuple of ``record``; None where it is null."""
    for chunk in column.chunks:
        structs = chunk.flatten()
        fields = [structs.field(name).to_pylist() for name in record.__dataclass_fields__]
        start = 0
        for length in chunk.value_lengths().to_pylist():
            if length is None:
                yield None
            else:
                end = start + length
                yield tuple(map(record, *(field[start:end] for field in fields)))
                start = end
