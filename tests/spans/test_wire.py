"""What is counted in the bytes is what the parser finds in them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ragdiag.errors import TooMuch
from ragdiag.spans.bounds import ExportBounds
from ragdiag.spans.otlp import decode_logs, decode_traces
from ragdiag.spans.wire import has_more_parts

SHAPES = st.lists(st.lists(st.integers(0, 200), max_size=4), max_size=4)
"""Of each resource, of each of its scopes: how many spans."""


@settings(max_examples=100, deadline=None)
@given(SHAPES)
def test_every_resource_scope_and_span_is_counted(shape: list[list[int]]) -> None:
    traces, logs = ExportTraceServiceRequest(), ExportLogsServiceRequest()
    parts = 0
    for scopes in shape:
        group, told = traces.resource_spans.add(schema_url="x" * 200), logs.resource_logs.add()
        group.resource.dropped_attributes_count = 3
        parts += 1
        for count in scopes:
            scope, records = group.scope_spans.add(schema_url="s"), told.scope_logs.add()
            parts += 1 + count
            for number in range(count):
                span = scope.spans.add(
                    trace_id=b"T" * 16, start_time_unix_nano=1, flags=1, name="n" * number
                )
                span.attributes.add(key="k").value.double_value = 0.5
                span.links.add(trace_id=b"T" * 16)
                records.log_records.add(time_unix_nano=5, severity_number=1)
    for body in (traces.SerializeToString(), logs.SerializeToString()):
        assert not has_more_parts(body, parts)
        assert parts == 0 or has_more_parts(body, parts - 1)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 5))
def test_no_bytes_raise(body: bytes, most: int) -> None:
    assert has_more_parts(body, most) in (True, False)


@pytest.mark.parametrize("field", [b"\x18\x00", b"\x12\x00", b"\x0b", b"\x0d\x00\x00\x00\x00"])
def test_fields_that_no_export_has_are_not_read_to_the_end(field: bytes) -> None:
    assert has_more_parts(field * 100, 10)
    assert not has_more_parts(field * 10, 10)


@pytest.mark.parametrize("decode", [decode_traces, decode_logs])
def test_too_many_parts_are_told_before_the_body_is_parsed(decode: object) -> None:
    body = b"\x0a\x00" * 11 + b"\xff"
    with pytest.raises(TooMuch):
        decode(body, bounds=ExportBounds(parts=10))  # type: ignore[operator]
