from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ragdiag.records import (
    Feedback,
    Grade,
    Passage,
    PassageMetadata,
    Reject,
    Request,
    Span,
    SpanEvent,
)
from ragdiag.store.kinds import Record, kind_of, record_to_json, reject_to_json
from ragdiag.store.lines import BadLine, RefusedLine, parse_line

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)
ONE = {"passage_id": ["p1"], "score": [1.0]}


def encoded(record: Record, **changes: Any) -> bytes:
    return json.dumps({**record_to_json(record), **changes}).encode()


def test_a_line_gives_back_its_record(
    make_request: Callable[..., Request], make_feedback: Callable[..., Feedback]
) -> None:
    assert parse_line(encoded(make_request())) == make_request()
    assert parse_line(encoded(make_feedback())) == make_feedback()


def test_fields_with_a_default_may_be_left_out() -> None:
    line = {"kind": "request", "schema": 1, "request_id": "r", "version_id": "v", "question": "q?"}
    parsed = parse_line(
        json.dumps({**line, "asked_at": "2026-01-05T12:00:00Z", "traffic": "canary"}).encode()
    )
    assert isinstance(parsed, Request)
    assert (parsed.fused, parsed.dense, parsed.status) == ((), None, "ok")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": 3}, "schema 3 is not 1 or 2"),
        ({"kind": "opinion"}, "kind 'opinion'"),
        ({"kind": ["request"]}, "kind"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"request_id": " "}, "request_id is empty"),
        ({"version_id": ""}, "version_id is empty"),
        ({"question": "\n"}, "question is empty"),
        ({"question": None}, "question: "),
        ({"asked_at": "2026-01-05T12:00:00"}, "asked_at: .*no time zone"),
        ({"asked_at": "yesterday"}, "asked_at: "),
        ({"asked_at": "0001-01-01T00:00:00+14:00"}, "asked_at: "),
        ({"traffic": "organic"}, "traffic: "),
        ({"status": "fine"}, "status: "),
        ({"prompt_tokens": "12"}, "prompt_tokens: "),
        ({"prompt_tokens": -1}, "prompt_tokens is -1"),
        ({"completion_tokens": 2**40}, "completion_tokens is"),
        ({"searched_depth": True}, "searched_depth: "),
        ({"logged_depth": 2**31}, "logged_depth is"),
        ({"cost_usd": -0.5}, "cost_usd is -0.5"),
        ({"cost_usd": 1e18}, "cost_usd is 1e\\+18"),
        ({"latency_ms": {"total": -1.0}}, "latency_ms.total is -1.0"),
        ({"latency_ms": {"lunch": 1.0}}, "latency_ms.lunch is no stage"),
        ({"logged_depth": -1}, "logged_depth is -1"),
        ({"fused": {**ONE, "passage_id": [""]}}, "fused: the passage at rank 1 has no id"),
        ({"dense": {**ONE, "passage_id": ["p", "q"]}}, "dense: not lists of one length"),
        ({"dense": {"passage_id": ["p"]}}, "dense: not the lists passage_id, score"),
        ({"dense": {**ONE, "score": [None]}}, r"dense\.0\.score"),
        ({"context": {**ONE, "chars": [-1]}}, "context.chars is -1"),
    ],
)
def test_each_fault_of_a_request_has_its_reason(
    make_request: Callable[..., Request], changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BadLine, match=reason):
        parse_line(encoded(make_request(), **changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"feedback_id": ""}, "feedback_id is empty"),
        ({"request_id": ""}, "request_id is empty"),
        ({"kind": "thumbs"}, "kind 'thumbs'"),
        ({"feedback_kind": "smile"}, "kind: "),
        ({"given_at": "2026-01-05T12:00:00"}, "given_at: "),
    ],
)
def test_each_fault_of_feedback_has_its_reason(
    make_feedback: Callable[..., Feedback], changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BadLine, match=reason):
        parse_line(encoded(make_feedback(), **changes))


GRADE = Grade("r1", "reviewer", 0, 0.25, reason="wrong year")
PASSAGE = Passage("cats#0", "cats", "Cats sleep.", "Cats")
SPAN = Span(
    trace_id="t1",
    span_id="s1",
    parent_id=None,
    name="retrieve",
    started_at=MONDAY,
    ended_at=MONDAY + timedelta(milliseconds=12),
    attributes={"input.value": "How long do cats sleep?", "n": [1, 2.5, None, {"deep": True}]},
    events=(SpanEvent("exception", MONDAY, {"exception.message": "no index"}),),
    status="error",
    error="no index",
    resource={"service.name": "qa"},
)


@pytest.mark.parametrize("record", [GRADE, PASSAGE, SPAN], ids=kind_of)
def test_what_services_log_beside_requests_is_read_back(record: Record) -> None:
    assert parse_line(encoded(record)) == record


@pytest.mark.parametrize(
    ("record", "changes", "reason"),
    [
        (GRADE, {"grader": " "}, "grader is empty"),
        (GRADE, {"y": 2}, "y is 2"),
        (GRADE, {"y": "1"}, "y: "),
        (PASSAGE, {"text": ""}, "text is empty"),
        (PASSAGE, {"position": -1}, "position is -1"),
        (SPAN, {"trace_id": ""}, "trace_id is empty"),
        (SPAN, {"ended_at": "2026-01-05T12:00:00"}, "ended_at: "),
        (SPAN, {"status": "fine"}, "status: "),
    ],
)
def test_each_fault_of_the_others_has_its_reason(
    record: Record, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BadLine, match=reason):
        parse_line(encoded(record, **changes))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"[" * 600 + b'"\\u0000"' + b"]" * 600 + b"}", "nested too deeply"),
        (b"null", "not a JSON object"),
        (b'{"kind": "request", "schema": 1, "cost_usd": NaN}', "NaN is not a JSON number"),
        (b'{"kind": "span", "schema": 1, "attributes": {"n": 1e999}}', "a number is too large"),
    ],
)
def test_what_is_no_json_object(line: bytes, reason: str) -> None:
    with pytest.raises(BadLine, match=reason):
        parse_line(line)


def test_a_refused_line_gives_its_own_reason() -> None:
    told = Reject("otlp", 3, "span 7 has no end time", '{"trace_id": "t1", "name": "語"}')
    line = json.dumps(reject_to_json(told)).encode()
    with pytest.raises(RefusedLine) as found:
        parse_line(line)
    assert (str(found.value), found.value.excerpt) == (told.reason, told.body)
    assert found.value.trace_id == "t1"
    for excerpt in ("", "[]", "[text 0]", "[" * 100_000):
        assert RefusedLine("bad", excerpt).trace_id == ""
    assert RefusedLine("bad", '{"trace_id": "\\ud800"}').trace_id == "?"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ('"reason": "bad"', "a refused line says reason and excerpt"),
        ('"reason": 5, "excerpt": ""', "a refused line says reason and excerpt"),
        ('"reason": "bad", "excerpt": "", "note": "ann"', "and no more"),
        ('"reason": "\\ud800", "excerpt": "\\ud800"', r"^\?$"),
        ('"reason": "\\u0000", "excerpt": ""', "holds a NUL"),
    ],
)
def test_a_refused_line_says_what_can_be_stored(fields: str, reason: str) -> None:
    with pytest.raises(BadLine, match=reason):
        parse_line(f'{{"kind": "refused", "schema": 2, {fields}}}'.encode())


def test_numbers_beyond_a_double_are_refused(make_request: Callable[..., Request]) -> None:
    line = encoded(make_request()).replace(b'"score": [2.5', b'"score": [1e999')
    with pytest.raises(BadLine, match="a number is too large"):
        parse_line(line)
    line = encoded(make_request()).replace(b'"answer": "', b'"answer": "\\ud800')
    with pytest.raises(BadLine):
        parse_line(line)


def test_a_passages_line_is_silent_about_its_metadata() -> None:
    passage = Passage("p", "d", "text", metadata=PassageMetadata(tenant="acme"))
    assert parse_line(encoded(passage)) == Passage("p", "d", "text")
    with pytest.raises(BadLine, match="unknown field 'metadata'"):
        parse_line(encoded(passage, metadata={}))
