"""OTLP in both encodings, well-formed and hostile."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, Status, StatusCode

from ragdiag.errors import InputError, TooMuch
from ragdiag.records import Span
from ragdiag.spans import bounds, otlp_json
from ragdiag.spans.bounds import ExportBounds
from ragdiag.spans.building import AHEAD, LINKS, Decoded
from ragdiag.spans.otlp import decode_logs, decode_traces
from ragdiag.spans.otlp_json import logs_from_otlp_json, spans_from_otlp_json
from ragdiag.spans.traces import read_trace
from ragdiag.store.kinds import record_to_json
from ragdiag.store.lines import parse_line

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
START = int(NOW.timestamp()) * 10**9

MakeSpan = Callable[..., dict[str, Any]]
Exported = tuple[TracerProvider, InMemorySpanExporter]


def real_export(exported: Exported) -> ExportTraceServiceRequest:
    """What the real SDK exports: every kind of value, an exception, a link."""
    provider, memory = exported
    tracer = provider.get_tracer("test")
    target = SpanContext(int("ab" * 16, 16), int("cd" * 8, 16), is_remote=True)
    with tracer.start_as_current_span("root", links=[Link(target)]) as root:
        root.set_attributes(
            {"text": "naïve 👍", "whole": 2**62, "half": 0.5, "yes": True, "list": ["a", "b"]}
        )
        with tracer.start_as_current_span("child") as child:
            child.record_exception(ValueError("no such index"))
            child.set_status(Status(StatusCode.ERROR))
    return encode_spans(memory.get_finished_spans())


def test_the_real_exporters_bytes_become_spans(exported: Exported) -> None:
    request = real_export(exported)
    decoded = decode_traces(request.SerializeToString())
    assert decoded.rejects == []
    child, root = decoded.spans
    assert (root.name, root.parent_id, child.parent_id) == ("root", None, root.span_id)
    links = root.attributes[LINKS]
    assert links == [{"trace_id": "ab" * 16, "span_id": "cd" * 8}]
    assert {key: root.attributes[key] for key in ("text", "whole", "half", "yes", "list")} == {
        "text": "naïve 👍",
        "whole": 2**62,
        "half": 0.5,
        "yes": True,
        "list": ["a", "b"],
    }
    assert root.resource["service.version"] == "2.1"
    assert (child.status, child.error) == ("error", "ValueError: no such index")
    assert child.started_at >= root.started_at


def hexadecimal(document: dict[str, Any]) -> dict[str, Any]:
    """protobuf's own JSON (ids in base64) with ids as OTLP/JSON wants them."""
    import base64

    text = json.dumps(document)
    for group in document["resourceSpans"]:
        for scope in group["scopeSpans"]:
            for span in scope["spans"]:
                for holder in (span, *span.get("links", [])):
                    for key in ("traceId", "spanId", "parentSpanId"):
                        if key in holder:
                            plain = base64.b64decode(holder[key]).hex()
                            text = text.replace(json.dumps(holder[key]), json.dumps(plain))
    return json.loads(text)  # type: ignore[no-any-return]


def test_both_encodings_and_every_shape_say_the_same(exported: Exported) -> None:
    request = real_export(exported)
    expected = decode_traces(request.SerializeToString()).spans
    camel = json_format.MessageToDict(request)
    original = json_format.MessageToDict(
        request, preserving_proto_field_name=True, use_integers_for_enums=True
    )
    strict = hexadecimal(camel)
    resource = strict["resourceSpans"][0]["resource"]
    bare = [
        {**span, "resource": resource}
        for scope in strict["resourceSpans"][0]["scopeSpans"]
        for span in scope["spans"]
    ]
    for document in (camel, original, strict, strict["resourceSpans"], bare):
        assert spans_from_otlp_json(document).spans == expected
    lines = f"{json.dumps(strict)}\n\n{json.dumps(strict)}\n"
    assert spans_from_otlp_json(lines).spans == expected * 2
    assert spans_from_otlp_json(json.dumps(strict).encode()).spans == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"traceId": "0" * 32}, "trace id '0000"),
        ({"traceId": "12ab"}, "is not 32 hexadecimal digits"),
        ({"traceId": None}, "is not 32 hexadecimal digits"),
        ({"spanId": "x" * 16}, "span id 'xxxx"),
        ({"parentSpanId": "77"}, "parent id '77'"),
        ({"parentSpanId": f"{7:016x}"}, "is its own parent"),
        ({"startTimeUnixNano": "0"}, "has no start time"),
        ({"startTimeUnixNano": "soon"}, "has no start time"),
        ({"endTimeUnixNano": 0}, "has no end time"),
        ({"endTimeUnixNano": str(2**64 - 1)}, "has no end time"),
        ({"endTimeUnixNano": str(START - 1_000)}, "ends before it starts"),
        ({"endTimeUnixNano": str(START + 2 * 86_400 * 10**9)}, "which is to come"),
    ],
)
def test_a_bad_span_is_rejected_and_its_neighbours_live(
    make_span: MakeSpan, changes: dict[str, Any], reason: str
) -> None:
    spans = [make_span(1), {**make_span(7), **changes}, make_span(3)]
    decoded = spans_from_otlp_json({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}, now=NOW)
    assert [span.span_id for span in decoded.spans] == [f"{1:016x}", f"{3:016x}"]
    (reject,) = decoded.rejects
    assert reason in reject.reason
    assert reject.line == 2
    assert decoded.refused.total() == 1
    told = json.loads(reject.body)
    assert (list(told), told["name"]) == (["trace_id", "span_id", "name"], make_span(7)["name"])


def test_a_clock_some_hours_ahead_is_kept_as_it_is(make_span: MakeSpan) -> None:
    span = make_span(1, at=3_600_000 * 5)
    decoded = spans_from_otlp_json([span], now=NOW)
    (kept,) = decoded.spans
    assert kept.started_at == NOW + timedelta(hours=5)
    assert not decoded.remarks


@pytest.mark.parametrize("days", [2, 400])
def test_a_clock_days_ahead_is_kept_and_remarked_on(make_span: MakeSpan, days: int) -> None:
    moved = START + days * 86_400 * 10**9
    span = make_span(1, at=days * 86_400_000)
    binary = protobuf_span(start_time_unix_nano=moved, end_time_unix_nano=moved + 1)
    for decoded in (
        spans_from_otlp_json([span], now=NOW),
        decode_traces(binary.SerializeToString(), now=NOW),
    ):
        assert [one.started_at for one in decoded.spans] == [NOW + timedelta(days=days)]
        assert (decoded.remarks, decoded.refused) == ({AHEAD: 1}, {})


def encodings(request: ExportTraceServiceRequest, limits: ExportBounds) -> list[Decoded]:
    text = json_format.MessageToJson(request)
    return [
        decode_traces(request.SerializeToString(), now=NOW, bounds=limits),
        spans_from_otlp_json(text, now=NOW, bounds=limits),
    ]


def many_spans(count: int, **changes: Any) -> ExportTraceServiceRequest:
    request = protobuf_span(**changes)
    (scope,) = request.resource_spans[0].scope_spans
    for _ in range(count - 1):
        scope.spans.append(scope.spans[0])
    return request


def test_an_export_of_too_many_parts_is_refused() -> None:
    request = many_spans(10)
    for decoded in encodings(request, ExportBounds(parts=12)):
        assert len(decoded.spans) == 10
    for part in (request, request.resource_spans[0], request.resource_spans[0].scope_spans[0]):
        more = ExportTraceServiceRequest()
        more.CopyFrom(request)
        if part is request:
            more.resource_spans.add()
        elif part is request.resource_spans[0]:
            more.resource_spans[0].scope_spans.add()
        else:
            more.resource_spans[0].scope_spans[0].spans.add()
        for decode, body in (
            (decode_traces, more.SerializeToString()),
            (spans_from_otlp_json, json_format.MessageToJson(more).encode()),
        ):
            with pytest.raises(TooMuch, match="more than 12 spans, resources and scopes"):
                decode(body, now=NOW, bounds=ExportBounds(parts=12))


def test_a_resource_counts_once_for_every_span_that_it_is_stored_with() -> None:
    request = many_spans(10)
    request.resource_spans[0].resource.attributes.add(key="k").value.string_value = "x" * 90
    stored = 10 * len(json.dumps({"k": "x" * 90}))
    for decoded in encodings(request, ExportBounds(repeated=stored)):
        assert len(decoded.spans) == 10
    with pytest.raises(TooMuch, match="once for each of its spans"):
        decode_traces(request.SerializeToString(), bounds=ExportBounds(repeated=stored - 1))
    with pytest.raises(TooMuch, match="once for each of its spans"):
        spans_from_otlp_json(
            json_format.MessageToJson(request), bounds=ExportBounds(repeated=stored - 1)
        )


def test_a_resource_is_read_once_however_many_spans_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[Any] = []
    monkeypatch.setattr(otlp_json, "read_attributes", lambda pairs: read.append(pairs) or {})
    resource = {"attributes": [{"key": "k", "value": {"intValue": 1}}]}
    groups = [{"resource": resource, "scopeSpans": [{"spans": [1] * 50}, {"spans": [2] * 50}]}]
    assert spans_from_otlp_json({"resourceSpans": groups}).refused == {"not an object": 100}
    assert read == [resource["attributes"]]


def test_refusals_are_counted_and_only_the_first_are_kept() -> None:
    for decoded in encodings(many_spans(9, end_time_unix_nano=1), ExportBounds(rejects=2)):
        assert decoded.refused == {"ends before it starts": 9}
        assert [reject.line for reject in decoded.rejects] == [1, 2]


def test_log_records_are_bounded_and_counted_alike() -> None:
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for _ in range(5):
        records.add()
    body, text = request.SerializeToString(), json_format.MessageToJson(request)
    assert decode_logs(body, bounds=ExportBounds(parts=7)).others == 5
    assert logs_from_otlp_json(text, bounds=ExportBounds(parts=7)).others == 5
    with pytest.raises(TooMuch):
        decode_logs(body, bounds=ExportBounds(parts=6))
    with pytest.raises(TooMuch):
        logs_from_otlp_json(text, bounds=ExportBounds(parts=6))
    junk = {"resourceLogs": [{"scopeLogs": [{"logRecords": [1, 2, 3]}]}]}
    found = logs_from_otlp_json(json.dumps(junk), bounds=ExportBounds(rejects=1))
    assert (found.refused, len(found.rejects)) == ({"not an object": 3}, 1)


@pytest.mark.parametrize(
    "junk",
    [None, 5, "text", [], [[1]], {"traceId": {}}, {"spanId": ["a"], "status": 3, "events": 4}],
)
def test_what_is_no_span_never_raises(make_span: MakeSpan, junk: Any) -> None:
    document = {"resourceSpans": [{"resource": 1, "scopeSpans": [{"spans": [junk, make_span(2)]}]}]}
    decoded = spans_from_otlp_json(document, now=NOW)
    assert len(decoded.spans) == 1
    assert len(decoded.rejects) == 1


@pytest.mark.parametrize(
    "attributes",
    [
        5,
        "text",
        [None, 3, {"key": 4, "value": {}}, {"value": {"stringValue": "x"}}],
        [{"key": "a", "value": {"intValue": "much"}}],
        [{"key": "a", "value": {"intValue": True}}],
        [{"key": "a", "value": {"doubleValue": "NaN"}}],
        [{"key": "a", "value": {"doubleValue": []}}],
        [{"key": "a", "value": {"arrayValue": {"values": 3}}}],
        [{"key": "a", "value": {"kvlistValue": {"values": [1, {"key": None}]}}}],
        [{"key": "a", "value": {"unknownValue": 1}}],
        [{"key": "\ud800", "value": {"stringValue": "\udfff lone"}}],
        {"a": float("inf"), "b": 10**30, "c": {"d": [1]}},
    ],
)
def test_attributes_of_any_make_become_json_that_can_be_stored(
    make_span: MakeSpan, attributes: Any
) -> None:
    span = {**make_span(1), "attributes": attributes, "events": [{"attributes": attributes}]}
    (kept,) = spans_from_otlp_json([span], now=NOW).spans
    for held in (kept.attributes, kept.events[0].attributes):
        json.dumps(held, allow_nan=False, ensure_ascii=False).encode()


def test_limits_cut_and_say_so(make_span: MakeSpan) -> None:
    deep: dict[str, Any] = {"stringValue": "bottom"}
    for _ in range(50):
        deep = {"arrayValue": {"values": [deep]}}
    many = {"arrayValue": {"values": [{"intValue": n} for n in range(bounds.MAX_ITEMS + 5)]}}
    pairs = [
        {"key": "deep", "value": deep},
        {"key": "many", "value": many},
        {"key": "long", "value": {"stringValue": "x" * 300_000}},
        {"key": "embedding.embeddings.0.embedding.vector", "value": many},
        *({"key": f"k{n}", "value": {"intValue": n}} for n in range(bounds.MAX_ATTRIBUTES)),
    ]
    (span,) = spans_from_otlp_json([{**make_span(1), "attributes": pairs}], now=NOW).spans
    assert bounds.TOO_DEEP in json.dumps(span.attributes["deep"], ensure_ascii=False)
    assert span.attributes["many"][-1] == "…[cut: 1005 items]"
    assert span.attributes["long"].endswith("…[cut: 300000 characters]")
    assert not any(key.endswith(".vector") for key in span.attributes)
    assert span.attributes[bounds.CUT_ATTRIBUTES] == 4
    assert len(span.attributes) <= bounds.MAX_ATTRIBUTES + 1


def protobuf_span(**changes: Any) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    fields = {"trace_id": b"K" * 16, "span_id": b"K" * 8, "name": "s"}
    times = {"start_time_unix_nano": START, "end_time_unix_nano": START + 1}
    for key, value in {**fields, **times, **changes}.items():
        setattr(span, key, value)
    return request


def test_protobuf_is_cut_by_the_same_limits() -> None:
    request = protobuf_span()
    span = request.resource_spans[0].scope_spans[0].spans[0]
    value = AnyValue(string_value="bottom")
    for _ in range(20):
        outer = AnyValue()
        outer.array_value.values.append(value)
        value = outer
    span.attributes.append(KeyValue(key="deep", value=value))
    span.attributes.append(KeyValue(key="long", value=AnyValue(string_value="x" * 300_000)))
    span.attributes.append(KeyValue(key="bytes", value=AnyValue(bytes_value=b"\xff\x00")))
    span.attributes.append(KeyValue(key="nan", value=AnyValue(double_value=float("nan"))))
    for number in range(bounds.MAX_ATTRIBUTES):
        span.attributes.add(key=f"k{number}").value.int_value = number
    (kept,) = decode_traces(request.SerializeToString(), now=NOW).spans
    assert kept.attributes[bounds.CUT_ATTRIBUTES] == 4
    assert bounds.TOO_DEEP in json.dumps(kept.attributes["deep"], ensure_ascii=False)
    assert kept.attributes["long"].endswith("…[cut: 300000 characters]")
    assert (kept.attributes["bytes"], kept.attributes["nan"]) == ("/wA=", "nan")


@pytest.mark.parametrize(
    "changes", [{"trace_id": b"K" * 15}, {"span_id": b""}, {"end_time_unix_nano": START - 10**6}]
)
def test_a_bad_protobuf_span_is_rejected(changes: dict[str, Any]) -> None:
    decoded = decode_traces(protobuf_span(**changes).SerializeToString(), now=NOW)
    assert (len(decoded.spans), len(decoded.rejects)) == (0, 1)


def nested_bytes(depth: int) -> bytes:
    """An attribute value of arrays in arrays, by hand: the library refuses to build it."""

    def framed(tag: int, body: bytes) -> bytes:
        size, prefix = len(body), b""
        while size >= 128:
            prefix, size = prefix + bytes([size % 128 + 128]), size // 128
        return bytes([tag]) + prefix + bytes([size]) + body

    value = framed(0x0A, b"x")
    for _ in range(depth):
        value = framed(0x2A, framed(0x0A, value))
    attribute = framed(0x4A, framed(0x0A, b"k") + framed(0x12, value))
    span = framed(0x0A, b"K" * 16) + framed(0x12, b"K" * 8) + attribute
    return framed(0x0A, framed(0x12, framed(0x12, span)))


@pytest.mark.parametrize(
    "body",
    [
        b"garbage that is no protobuf at all",
        b"\x0a\xff\xff\xff\x7f",
        nested_bytes(5_000),
        protobuf_span(name="abc").SerializeToString().replace(b"abc", b"a\xffc"),
        protobuf_span().SerializeToString()[:-3],
    ],
    ids=["garbage", "claims 256 MB", "deep", "not UTF-8", "cut"],
)
def test_what_is_no_protobuf_is_one_clear_error(body: bytes) -> None:
    with pytest.raises(InputError, match="not a protobuf ExportTraceServiceRequest"):
        decode_traces(body)


@pytest.mark.parametrize(
    "body", ["", "{", "[" * 100_000, '{"a": 1}', "5", '"text"', '{"resourceSpans": 4}', "\xff"]
)
def test_what_is_no_otlp_json_is_one_clear_error(body: str) -> None:
    with pytest.raises(InputError):
        spans_from_otlp_json(body)


def test_an_empty_export_is_fine() -> None:
    assert decode_traces(b"").spans == []
    assert spans_from_otlp_json("{}").spans == []


def test_evaluation_events_come_as_log_records_too() -> None:
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    plain = records.add()
    plain.body.string_value = "started"
    told = records.add()
    told.event_name = "gen_ai.evaluation.result"
    told.trace_id, told.span_id, told.time_unix_nano = b"K" * 16, b"S" * 8, START
    told.attributes.append(
        KeyValue(key="gen_ai.evaluation.name", value=AnyValue(string_value="relevance"))
    )
    binary = decode_logs(request.SerializeToString())
    text = logs_from_otlp_json(json_format.MessageToJson(request))
    for decoded in (binary, text):
        (event,) = decoded.events
        assert (event.trace_id, event.event.at) == ((b"K" * 16).hex(), NOW)
        assert event.event.attributes == {"gen_ai.evaluation.name": "relevance"}
        assert decoded.others == 1


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = (
    *("traceId", "spanId", "parentSpanId", "name", "startTimeUnixNano", "endTimeUnixNano"),
    *("attributes", "events", "status", "links"),
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=3), JUNK)
def test_whatever_is_decoded_survives_the_spool(changes: dict[str, Any], value: Any) -> None:
    span = {
        "traceId": "ab" * 16,
        "spanId": "cd" * 8,
        "startTimeUnixNano": START,
        "endTimeUnixNano": START + 1,
        "attributes": [{"key": "a", "value": value}, {"key": "b", "value": {"intValue": value}}],
        **changes,
    }
    decoded = spans_from_otlp_json(
        [{"resource": value, "scopeSpans": [{"spans": [span]}]}], now=NOW
    )
    assert len(decoded.spans) + len(decoded.rejects) == 1
    for kept in decoded.spans:
        line = json.dumps(record_to_json(kept), allow_nan=False).encode()
        assert parse_line(line) == kept
        read_trace([kept])


def test_spans_share_one_resource(make_span: MakeSpan, as_spans: Callable[..., list[Span]]) -> None:
    spans = as_spans(make_span(1), make_span(2), resource={"service.name": "helpdesk"})
    assert {span.resource["service.name"] for span in spans} == {"helpdesk"}
