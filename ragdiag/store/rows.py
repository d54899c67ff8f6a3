"""Records as Arrow tables for the lake, and back: one statement inserts or reads them all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from ragdiag.records import LATENCY_STAGES, ContextHit, Feedback, Hit, Request
from ragdiag.store.lake import to_aware_utc, to_naive_utc

TEXT = pa.string()
TEXTS = pa.list_(TEXT)
NUMBER = pa.float64()
WHOLE = pa.int32()
TIME = pa.timestamp("us")
GRADES = pa.list_(pa.uint8())
HITS = pa.list_(pa.struct([("passage_id", TEXT), ("score", NUMBER)]))
CONTEXT = pa.list_(pa.struct([("passage_id", TEXT), ("score", NUMBER), ("chars", WHOLE)]))

_HIT_LISTS = ("lexical", "dense", "fused", "reranked")
_PLAIN = (
    "request_id",
    "version_id",
    "build_id",
    "traffic",
    "question_id",
    "question",
    "topic",
    "user_key",
    "answer",
    "status",
    "error",
    "degraded_reason",
    "cache_hit",
    "prompt_tokens",
    "completion_tokens",
    "cost_usd",
    "searched_depth",
    "logged_depth",
)
_WHOLES = {"prompt_tokens", "completion_tokens", "searched_depth", "logged_depth"}
_TYPES = {"cache_hit": pa.bool_(), "cost_usd": NUMBER, **dict.fromkeys(_WHOLES, WHOLE)}

REQUEST_SCHEMA = pa.schema(
    [(name, _TYPES.get(name, TEXT)) for name in _PLAIN]
    + [("asked_at", TIME), ("citations", TEXTS)]
    + [(f"{stage}_ms", NUMBER) for stage in LATENCY_STAGES]
    + [(name, HITS) for name in _HIT_LISTS]
    + [("context", CONTEXT), ("rel", GRADES), ("segment", TEXT)]
)
FEEDBACK_SCHEMA = pa.schema(
    [
        ("feedback_id", TEXT),
        ("request_id", TEXT),
        ("given_at", TIME),
        ("kind", TEXT),
        ("value", NUMBER),
        ("passage_id", TEXT),
    ]
)


def insert(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    schema: pa.Schema,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Append ``rows`` to ``table`` in one statement; no row, no statement."""
    if rows:
        with registered(cursor, "incoming", pa.Table.from_pylist(list(rows), schema=schema)):
            cursor.execute(f"insert into {table} by name select * from incoming")


class registered:  # noqa: N801 - reads as a statement
    """``with registered(cursor, "name", table):`` lets SQL read an Arrow table by name."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
        self._cursor = cursor
        self._name = name
        self._table = table

    def __enter__(self) -> None:
        self._cursor.register(self._name, self._table)

    def __exit__(self, *_: object) -> None:
        self._cursor.unregister(self._name)


def request_row(request: Request, rel: Sequence[int] | None, segment: str) -> dict[str, Any]:
    return {
        **{name: getattr(request, name) for name in _PLAIN},
        **{f"{stage}_ms": request.latency_ms.get(stage) for stage in LATENCY_STAGES},
        **{name: _hits(getattr(request, name)) for name in _HIT_LISTS},
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
    return {
        **{name: getattr(feedback, name) for name in FEEDBACK_SCHEMA.names},
        "given_at": to_naive_utc(feedback.given_at),
    }


def feedback_from_row(row: Mapping[str, Any]) -> Feedback:
    return Feedback(**{**row, "given_at": to_aware_utc(row["given_at"])})


def requests_from_table(table: pa.Table) -> list[Request]:
    """Rows of ``requests`` as records. Lists of hits are read column-wise: a request may have
    hundreds of them."""
    plain = [table[name].to_pylist() for name in _PLAIN]
    times = table["asked_at"].to_pylist()
    citations = table["citations"].to_pylist()
    latencies = zip(*(table[f"{stage}_ms"].to_pylist() for stage in LATENCY_STAGES), strict=True)
    lists = {name: list(_read_hits(table[name], Hit)) for name in _HIT_LISTS}
    contexts = list(_read_hits(table["context"], ContextHit))
    return [
        Request(
            **dict(zip(_PLAIN, values, strict=True)),
            asked_at=to_aware_utc(asked_at),
            citations=tuple(cited),
            latency_ms={
                stage: value
                for stage, value in zip(LATENCY_STAGES, latency, strict=True)
                if value is not None
            },
            lexical=lists["lexical"][n],
            dense=lists["dense"][n],
            fused=lists["fused"][n] or (),
            reranked=lists["reranked"][n],
            context=contexts[n] or (),
        )
        for n, (values, asked_at, cited, latency) in enumerate(
            zip(zip(*plain, strict=True), times, citations, latencies, strict=True)
        )
    ]


def _hits(hits: Iterable[Hit] | None) -> list[dict[str, Any]] | None:
    if hits is None:
        return None
    return [{"passage_id": hit.passage_id, "score": hit.score} for hit in hits]


def _read_hits(column: Any, record: Any) -> Iterator[tuple[Any, ...] | None]:
    """Each list of structs in ``column`` as a tuple of ``record``; None where it is null."""
    for chunk in column.chunks:
        values = chunk.flatten()
        fields = [values.field(name).to_pylist() for name in record.__dataclass_fields__]
        offset = 0
        for length in chunk.value_lengths().to_pylist():
            if length is None:
                yield None
                continue
            end = offset + length
            yield tuple(map(record, *(field[offset:end] for field in fields)))
            offset = end
