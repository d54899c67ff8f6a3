"""Traces written by hand in OTLP/JSON, and real ones of the OpenTelemetry SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ragdiag.records import Span
from ragdiag.spans.otlp_json import spans_from_otlp_json

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
START = int(NOW.timestamp()) * 10**9
TRACE = "4b" * 16

MakeSpan = Callable[..., dict[str, Any]]


@pytest.fixture
def make_span() -> MakeSpan:
    """One span of OTLP/JSON; ``at`` and ``ms`` are milliseconds, attributes are plain."""

    def make(
        number: int = 1,
        parent: int = 0,
        *,
        at: float = 0,
        ms: float = 10,
        attributes: dict[str, Any] | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "traceId": TRACE,
            "spanId": f"{number:016x}",
            "parentSpanId": f"{parent:016x}" if parent else "",
            "name": f"span {number}",
            "startTimeUnixNano": str(START + int(at * 10**6)),
            "endTimeUnixNano": str(START + int((at + ms) * 10**6)),
            "attributes": attributes or {},
        }
        return {**fields, **changes}

    return make


@pytest.fixture
def as_spans() -> Callable[..., list[Span]]:
    """Spans of OTLP/JSON as records; none may be refused."""

    def read(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> list[Span]:
        group = {
            "resource": {"attributes": resource or {}},
            "scopeSpans": [{"spans": list(spans)}],
        }
        decoded = spans_from_otlp_json({"resourceSpans": [group]}, now=NOW)
        assert decoded.rejects == []
        return decoded.spans

    return read


@pytest.fixture
def exported() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    """A real tracer provider whose finished spans stay in memory."""
    memory = InMemorySpanExporter()
    resource = Resource.create({"service.name": "helpdesk", "service.version": "2.1"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    yield provider, memory
    provider.shutdown()
