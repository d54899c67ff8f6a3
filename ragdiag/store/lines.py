"""One line of the spool as a validated record, or the reason why it is none."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from ragdiag.records import (
    LARGEST_COST,
    LATENCY_STAGES,
    Feedback,
    Grade,
    Passage,
    Request,
    Span,
)
from ragdiag.store.kinds import (
    FEEDBACK_KIND,
    HIT_FIELDS,
    KINDS,
    READ_SCHEMAS,
    REFUSED,
    Record,
    line_fields,
)
from ragdiag.store.times import to_naive_utc

LARGEST_WHOLE = 2**31 - 1


class BadLine(Exception):
    """Why a line was not loaded."""


class RefusedLine(BadLine):
    """A line in order, and no record: it says why its writer turned something away, and of that
    an ``excerpt`` (JSON, or empty)."""

    def __init__(self, reason: str, excerpt: str) -> None:
        super().__init__(reason)
        self.excerpt = excerpt

    @property
    def trace_id(self) -> str:
        """Of what was turned away; empty where it is not known."""
        try:
            named = json.loads(self.excerpt)
        except (ValueError, RecursionError):
            return ""
        trace = named.get("trace_id") if isinstance(named, dict) else None
        return _storable(trace) if isinstance(trace, str) else ""


def parse_line(line: bytes) -> Record:
    """The record that ``line`` holds; BadLine with one clear reason where it holds none."""
    try:
        return _parse(line)
    except RecursionError:
        raise BadLine("nested too deeply") from None


def _parse(line: bytes) -> Record:
    try:
        body = json.loads(line.decode(), parse_constant=_refuse_constant, parse_float=_finite)
    except ValueError as error:
        raise BadLine(f"not JSON ({error})") from None
    if not isinstance(body, dict):
        raise BadLine("not a JSON object")
    if b"\\u0000" in line and _holds_nul(body):
        raise BadLine("holds a NUL, which the lake cannot keep")
    schema = body.pop("schema", None)
    if schema not in READ_SCHEMAS:
        known = " or ".join(map(str, READ_SCHEMAS))
        raise BadLine(f"schema {schema!r} is not {known}: written by another ragdiag")
    kind = body.pop("kind", None)
    if kind == REFUSED:
        raise _refused_line(body)
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadLine(f"kind {kind!r} is none of {', '.join(KINDS)}")
    if kind == "feedback" and FEEDBACK_KIND in body:
        body["kind"] = body.pop(FEEDBACK_KIND)
        line = json.dumps(body).encode()
    if kind == "request" and schema != 1:
        line = json.dumps(_with_hits(body)).encode()
    unknown = sorted(set(body) - set(line_fields(KINDS[kind])))
    if unknown:
        raise BadLine(f"unknown field {unknown[0]!r}")
    try:
        record = _adapter(kind).validate_json(line, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadLine(f"{where}: {first['msg']}") from None
    if problem := find_problem(record):
        raise BadLine(problem)
    return record


def _refused_line(body: dict[str, Any]) -> BadLine:
    reason, excerpt = body.get("reason"), body.get("excerpt")
    if not isinstance(reason, str) or not isinstance(excerpt, str) or len(body) > 2:
        return BadLine("a refused line says reason and excerpt, both as texts, and no more")
    return RefusedLine(_storable(reason), _storable(excerpt))


def _storable(text: str) -> str:
    """Lone surrogates, which JSON can say and UTF-8 cannot, as question marks."""
    return text.encode(errors="replace").decode()


def _with_hits(body: dict[str, Any]) -> dict[str, Any]:
    """A request's body with hits as objects, as the record has them, and without absent stages."""
    shaped = dict(body)
    for name, fields in HIT_FIELDS.items():
        if (columns := body.get(name)) is not None:
            if not isinstance(columns, dict) or set(columns) != set(fields):
                raise BadLine(f"{name}: not the lists {', '.join(fields)}")
            lists = [columns[field] for field in fields]
            if not all(isinstance(one, list) and len(one) == len(lists[0]) for one in lists):
                raise BadLine(f"{name}: not lists of one length")
            shaped[name] = [dict(zip(fields, hit, strict=True)) for hit in zip(*lists, strict=True)]
    if isinstance(stages := body.get("latency_ms"), dict):
        shaped["latency_ms"] = {stage: ms for stage, ms in stages.items() if ms is not None}
    return shaped


@lru_cache(maxsize=len(KINDS))
def _adapter(kind: str) -> TypeAdapter[Record]:
    return TypeAdapter(KINDS[kind])


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _holds_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_nul, value)) or any(map(_holds_nul, value.values()))
    return any(map(_holds_nul, value)) if isinstance(value, list) else "\0" in str(value)


def find_problem(record: Record) -> str | None:
    """What the types alone do not say: identity, zone, finite and storable numbers."""
    match record:
        case Request():
            return _request_problem(record)
        case Feedback():
            return _feedback_problem(record)
        case Grade():
            return _grade_problem(record)
        case Passage():
            return _passage_problem(record)
        case Span():
            return _span_problem(record)


def _request_problem(request: Request) -> str | None:
    if problem := _empty(request, "request_id", "version_id", "question"):
        return problem
    if problem := _time_problem("asked_at", request.asked_at):
        return problem
    for name in ("only_since", "only_until"):
        moment = getattr(request, name)
        if moment is not None and (problem := _time_problem(name, moment)):
            return problem
    for stage, value in request.latency_ms.items():
        if stage not in LATENCY_STAGES:
            return f"latency_ms.{stage} is no stage"
        if not math.isfinite(value) or value < 0:
            return f"latency_ms.{stage} is {value}"
    wholes = [
        ("prompt_tokens", request.prompt_tokens or 0),
        ("completion_tokens", request.completion_tokens or 0),
        ("searched_depth", request.searched_depth),
        ("logged_depth", request.logged_depth or 0),
        *(("context.chars", hit.chars) for hit in request.context),
    ]
    for name, whole in wholes:
        if not 0 <= whole <= LARGEST_WHOLE:
            return f"{name} is {whole}"
    if not 0 <= (request.cost_usd or 0.0) <= LARGEST_COST:
        return f"cost_usd is {request.cost_usd}"
    if not 0 < request.keep_probability <= 1:
        return f"keep_probability is {request.keep_probability}, not in (0, 1]"
    return _hits_problem(request)


def _hits_problem(request: Request) -> str | None:
    for name in ("lexical", "dense", "fused", "reranked", "context"):
        for rank, hit in enumerate(getattr(request, name) or (), start=1):
            if not hit.passage_id:
                return f"{name}: the passage at rank {rank} has no id"
            if not math.isfinite(hit.score):
                return f"{name}: the score at rank {rank} is {hit.score}"
    return None


def _feedback_problem(feedback: Feedback) -> str | None:
    if problem := _empty(feedback, "feedback_id", "request_id"):
        return problem
    if not math.isfinite(feedback.value):
        return f"value is {feedback.value}"
    return _time_problem("given_at", feedback.given_at)


def _grade_problem(grade: Grade) -> str | None:
    if problem := _empty(grade, "request_id", "grader"):
        return problem
    if grade.y not in (None, 0, 1):
        return f"y is {grade.y}"
    if not math.isfinite(grade.score or 0.0):
        return f"score is {grade.score}"
    return None


def _passage_problem(passage: Passage) -> str | None:
    if problem := _empty(passage, "passage_id", "document_id", "text"):
        return problem
    return None if 0 <= passage.position <= LARGEST_WHOLE else f"position is {passage.position}"


def _span_problem(span: Span) -> str | None:
    if problem := _empty(span, "trace_id", "span_id"):
        return problem
    times = [("started_at", span.started_at), ("ended_at", span.ended_at)]
    times += [("events.at", event.at) for event in span.events]
    return next((found for name, at in times if (found := _time_problem(name, at))), None)


def _empty(record: Record, *names: str) -> str | None:
    return next((f"{name} is empty" for name in names if not getattr(record, name).strip()), None)


def _time_problem(name: str, moment: Any) -> str | None:
    try:
        to_naive_utc(moment)
    except (ValueError, OverflowError) as error:
        return f"{name}: {error}"
    return None
