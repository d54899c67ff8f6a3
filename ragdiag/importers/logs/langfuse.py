"""Langfuse's exports: observations, traces and scores as JSON, JSON lines, CSV or Parquet.

Sources: langfuse.com/docs, "Blob storage export field reference" (``observations_v2/`` with the
trace's fields on each row; ``traces/``, ``observations/`` and ``scores/`` joined by trace id), and
langfuse 5.0.4, ``api/commons`` (the API's names in camelCase). The files of one export are imported
as one folder. A trace's row becomes the root of its observations; a score becomes feedback or a
grade as any other evaluation does.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from ragdiag.importers.logs.detect import is_score
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
from ragdiag.records import Span
from ragdiag.spans.conventions import OPENINFERENCE_KIND, RERANKER_OUTPUT, RETRIEVED_DOCUMENTS
from ragdiag.spans.feedback import Opinion, to_records

ROOT = "trace"
"""The span id of a trace's own row."""
_ANTHROPIC_CACHE = ("cache_read_input_tokens", "cache_creation_input_tokens")
"""Counts of the prompt that ``input_tokens`` leaves out."""
_KINDS = {"GENERATION": "LLM", "SPAN": "CHAIN", "EVENT": "CHAIN"}
_TRAFFICS = {"evaluation": "evaluation", "langfuse-evaluation": "evaluation"}
_OF_BOTH = {
    *("id", "name", "input", "output", "user_id", "session_id", "metadata"),
    *("release", "version", "environment"),
}
_OF_TRACES = _OF_BOTH | {"timestamp", "observations", "scores"}
_OF_OBSERVATIONS = _OF_BOTH | {
    *("trace_id", "type", "level", "status_message", "start_time", "end_time"),
    *("parent_observation_id", "usage_details", "usage", "cost_details", "total_cost"),
    *("provided_model_name", "model"),
}
_OF_SCORES = {
    *("id", "trace_id", "name", "value", "string_value", "data_type", "source", "comment"),
    *("timestamp", "created_at"),
}
"""The fields that are read, by what the row is."""
_DOCUMENT_LISTS = ("documents", "results", "passages", "chunks", "nodes", "contexts", "hits")


class LangfuseFormat:
    def __init__(self, user_key: Callable[[str], str], unread: Counter[str]) -> None:
        self._user_key = user_key
        self._unread = unread

    def pieces(self, row: Row, *, again: bool) -> Iterator[Piece | Reading]:
        values = _taken(row.values)
        is_row_of_trace = "trace_id" not in values
        if not again:
            self._count_unread(row.values, values)
        trace_id = str(values.get("id" if is_row_of_trace else "trace_id") or "")
        if not trace_id:
            yield Reading(row.origin, fault="the row names no trace")
            return
        yield Piece(trace_id, short(row.origin), values)
        if is_row_of_trace:  # the API's traces carry their observations and scores
            try:
                inners = [*_listed(values.get("observations")), *_listed(values.get("scores"))]
            except BadValue as error:
                yield Reading(row.origin, fault=str(error))
                return
            for inner in inners:
                named = {**_taken(inner), "trace_id": trace_id}
                if not again:
                    self._count_unread(inner, named)
                yield Piece(trace_id, short(row.origin), named)

    def _count_unread(self, given: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Of a row or an inner object as it was given, and as it is read."""
        if "trace_id" not in values:
            read = _OF_TRACES
        else:
            read = _OF_SCORES if is_score(values) else _OF_OBSERVATIONS
        count_unread(self._unread, given, lambda name: _snake(name) in read)

    def read(self, pieces: Sequence[Piece]) -> Iterator[Reading]:
        spans: list[Span] = []
        opinions: list[Opinion] = []
        root = next((p.content for p in pieces if "trace_id" not in p.content), None)
        for piece in pieces:
            values = piece.content
            try:
                if "trace_id" in values and is_score(values):
                    opinions.append(_opinion(piece.trace_id, values))
                elif "trace_id" in values:
                    spans.append(_observation(values, parent=None if root is None else ROOT))
            except BadValue as error:
                yield Reading(piece.origin, fault=str(error))
        try:
            if root is not None:
                spans.append(_root(root, spans))
        except BadValue as error:
            yield Reading(pieces[0].origin, fault=str(error))
        yield from read_spans(spans, pieces[0].origin, self._user_key, to_records(opinions))

    def left_over(self) -> Iterator[Reading]:
        return iter(())


def _observation(values: Mapping[str, Any], parent: str | None) -> Span:
    started = _time(values, "start_time")
    if started is None:
        raise BadValue("an observation without a start time")
    ended = _time(values, "end_time") or started
    kind, name = str(values.get("type")).upper(), str(values.get("name") or "")
    failed = str(values.get("level")).upper() == "ERROR"
    own_parent = values.get("parent_observation_id")
    return Span(
        trace_id=str(values["trace_id"]),
        span_id=str(values.get("id") or ""),
        parent_id=str(own_parent) if own_parent else parent,
        name=name,
        started_at=started,
        ended_at=max(ended, started),
        attributes={**_stated(values), **_usage(values), **_kind(kind, name, values.get("output"))},
        status="error" if failed else "ok",
        error=(str(values.get("status_message") or "") or name or "error") if failed else None,
    )


def _root(values: Mapping[str, Any], spans: Sequence[Span]) -> Span:
    started = _time(values, "timestamp") or min((s.started_at for s in spans), default=None)
    if started is None:
        raise BadValue("a trace without a time")
    return Span(
        trace_id=str(values["id"]),
        span_id=ROOT,
        parent_id=None,
        name=str(values.get("name") or ""),
        started_at=started,
        ended_at=max([started, *(span.ended_at for span in spans)]),
        attributes={**_stated(values), OPENINFERENCE_KIND: "CHAIN"},
    )


def _kind(kind: str, name: str, output: Any) -> dict[str, Any]:
    """The span's kind, with the documents of a retriever or reranker, which may be a plain span."""
    documents = _documents(output)
    if kind == "SPAN" and documents:
        kind = "RERANKER" if re.search("rerank", name, re.I) else kind
        kind = "RETRIEVER" if re.search("retriev|search", name, re.I) else kind
    if kind == "RETRIEVER" and re.search("rerank", name, re.I):
        kind = "RERANKER"
    found: dict[str, Any] = {OPENINFERENCE_KIND: _KINDS.get(kind, kind)}
    if kind in ("RETRIEVER", "RERANKER"):
        found[RETRIEVED_DOCUMENTS if kind == "RETRIEVER" else RERANKER_OUTPUT] = documents
    return found


def _documents(output: Any) -> list[Any]:
    found = read_json(output)
    if isinstance(found, Mapping):
        found = next((found[key] for key in _DOCUMENT_LISTS if key in found), None)
    listed = found if isinstance(found, list) else []
    return [_document(one) for one in listed if isinstance(one, (str, Mapping))]


def _document(one: Any) -> Any:
    """LangChain keeps a document's id and score in its metadata."""
    if not isinstance(one, Mapping) or not isinstance(one.get("metadata"), Mapping):
        return one
    stated = {key: one["metadata"][key] for key in ("id", "score") if key in one["metadata"]}
    return {**stated, **{key: value for key, value in one.items() if value is not None}}


def _stated(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a trace or an observation says, under OpenInference's names."""
    version = values.get("release") or values.get("version")
    traffic = _TRAFFICS.get(str(values.get("environment")).lower())
    named = {
        "input.value": _text(values.get("input")),
        "output.value": _text(values.get("output")),
        "user.id": values.get("user_id"),
        "session.id": values.get("session_id"),
        "metadata": without_nan(read_json(values.get("metadata"))),
        "ragdiag.version": version,
        "ragdiag.traffic": traffic,
    }
    return {name: value for name, value in named.items() if value not in (None, "", {}, [])}


def _usage(values: Mapping[str, Any]) -> dict[str, Any]:
    usage = read_json(values.get("usage_details") or values.get("usage"))
    costs = read_json(values.get("cost_details"))
    usage, costs = (without_nan(one) if isinstance(one, Mapping) else {} for one in (usage, costs))
    total = values.get("total_cost")
    cost = costs.get("total") if total in (None, "") else total
    with of_field("usage_details"):
        prompt = _tokens(usage, "input", ("promptTokens", "prompt_tokens"))
        completion = _tokens(usage, "output", ("completionTokens", "completion_tokens"))
    with of_field("total_cost"):
        paid = None if cost in (None, "") else read_number(cost)
    found = {
        "llm.token_count.prompt": prompt,
        "llm.token_count.completion": completion,
        "llm.cost.total": paid,
    }
    told = {name: _whole(number) for name, number in found.items() if number is not None}
    model = values.get("provided_model_name") or values.get("model")
    return {**told, "llm.model_name": model} if model else told


def _tokens(usage: Mapping[str, Any], side: str, older: Sequence[str]) -> float | None:
    """What all counts of a side add up to (``input`` and ``input_cached_tokens``: Langfuse keeps
    them apart, and Anthropic what its cache read and wrote); else the count under an older name.

    >>> _tokens({"input": 40, "input_tokens": 40, "input_unit": "TOKENS"}, "input", ())
    40.0
    """
    told = [read_number(usage[side])] if _is_told(usage, side) else []
    # The provider's own name of the same count.
    same = {f"{side}_tokens"} if told else set()
    told += [
        count
        for name, value in usage.items()
        if name.startswith(f"{side}_") and not name.endswith("cost") and name not in same
        if (count := _count(value)) is not None
    ]
    if not told:
        told = [read_number(usage[name]) for name in older if _is_told(usage, name)][:1]
    if side == "input":
        cached = (_count(usage.get(name)) for name in _ANTHROPIC_CACHE)
        told += [count for count in cached if count is not None]
    return read_number(sum(told)) if told else None  # two large ones may add up to infinity


def _is_told(usage: Mapping[str, Any], name: str) -> bool:
    return usage.get(name) not in (None, "")


def _count(value: Any) -> float | None:
    """None of what is no number: a unit, a format, the details of a count."""
    try:
        return read_number(value)
    except BadValue:
        return None


def _whole(number: float) -> float | int:
    return int(number) if number == int(number) else number


def _opinion(trace_id: str, values: Mapping[str, Any]) -> Opinion:
    """TEXT scores have no number; the label of a BOOLEAN one is its truth."""
    kind = str(values.get("data_type")).upper()
    name, label = str(values.get("name") or "").strip(), str(values.get("string_value") or "")
    value = values.get("value")
    with of_field("value"):
        score = None if kind == "TEXT" or value in (None, "") else read_number(value)
    if kind == "BOOLEAN" and not label and score is not None:
        label = "true" if score else "false"
    if not name:
        raise BadValue("a score without a name")
    at = _time(values, "timestamp") or _time(values, "created_at")
    if at is None:
        raise BadValue("a score without a time")
    human = str(values.get("source")).upper() == "ANNOTATION" or "feedback" in name.lower()
    identifier = str(values.get("id") or f"{trace_id}/{name}")
    comment = str(values.get("comment") or "")
    return Opinion(trace_id, identifier, at, name, score, label, comment, human)


def _time(values: Mapping[str, Any], name: str) -> datetime | None:
    value = values.get(name)
    with of_field(name):
        return None if value in (None, "") else read_time(value, TimeTable())[0]


def _text(value: Any) -> Any:
    return value if isinstance(value, str) or value is None else json.dumps(value)


def _listed(value: Any) -> list[Mapping[str, Any]]:
    found = read_json(value)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _taken(given: Mapping[str, Any]) -> dict[str, Any]:
    """A row, or an object within one, by the names of the exports and without NaN."""
    return {_snake(name): without_nan(value) for name, value in given.items()}


@lru_cache(maxsize=1_000)
def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
