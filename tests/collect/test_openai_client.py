"""The instrumented ``openai`` package against a server that speaks chat.completions: what it costs
and what it says stands in the request. OpenInference's instrumentation tells it, and that of
OpenTelemetry itself by the GenAI conventions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

import openai
import pytest
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from ragdiag.cli import main
from ragdiag.records import Request
from ragdiag.store.lake import Lake, open_lake
from ragdiag.store.rejects import list_noted
from ragdiag.store.results import load_requests
from tests.faulty_server import FaultyServer

from .conftest import Receiver, Start

PAUSE_S = 0.02
ANSWER = "Fifteen hours."
MESSAGES: list[Any] = [
    {"role": "system", "content": "Answer from the context: Cats sleep fifteen hours."},
    {"role": "user", "content": "How long do cats sleep?"},
]


def completion(kind: str, *choices: dict[str, Any]) -> dict[str, Any]:
    said = {"id": "c1", "object": kind, "created": 1_767_614_400, "model": "tiny-2026-01"}
    numbered = [{"index": 0, "finish_reason": None, **choice} for choice in choices]
    return {**said, "choices": numbered}


USAGE = {"usage": {"prompt_tokens": 41, "completion_tokens": 7, "total_tokens": 48}}
WHOLE = USAGE | completion(
    "chat.completion",
    {"message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"},
)
CHUNK = "chat.completion.chunk"
PIECES = [
    completion(CHUNK, {"delta": {"role": "assistant", "content": "Fifteen"}}),
    completion(CHUNK, {"delta": {"content": " hours."}, "finish_reason": "stop"}),
    USAGE | completion(CHUNK),
]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def answer_slowly(server: FaultyServer) -> None:
    """One completion after a pause, whole or word by word as it is asked for."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(PAUSE_S)
        handler.send_response(200)
        if server.seen[-1].get("stream"):
            handler.send_header("content-type", "text/event-stream")
            handler.end_headers()
            for piece in PIECES:
                handler.wfile.write(f"data: {json.dumps(piece)}\n\n".encode())
            handler.wfile.write(b"data: [DONE]\n\n")
        else:
            handler.send_header("content-type", "application/json")
            handler.end_headers()
            handler.wfile.write(json.dumps(WHOLE).encode())

    server.respond = respond


@dataclass(frozen=True)
class Instrumented:
    """An instrumented client, and where its spans go."""

    client: openai.OpenAI
    receiver: Receiver
    provider: TracerProvider

    def requests(self) -> list[Request]:
        self.provider.shutdown()
        return load_requests(received(self.receiver))


def received(receiver: Receiver) -> Lake:
    """The lake with everything that the receiver was told."""
    receiver.process.send_signal(signal.SIGTERM)
    assert receiver.process.wait(20) == 0
    root = str(receiver.workspace.root)
    assert main(["--workspace", root, "ingest", "--settle-s", "0", "--json"]) == 0
    return open_lake(receiver.workspace)


@pytest.fixture
def instrumented(start: Start, faulty_server: FaultyServer) -> Iterator[Instrumented]:
    receiver = start()
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{receiver.url}/v1/traces")))
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    answer_slowly(faulty_server)
    with openai.OpenAI(
        base_url=faulty_server.base_url, api_key="none", max_retries=0, timeout=10
    ) as client:
        yield Instrumented(client, receiver, provider)
    instrumentor.uninstrument()
    provider.shutdown()


def test_calls_of_the_openai_package_are_requests(instrumented: Instrumented) -> None:
    chat = instrumented.client.chat.completions
    assert chat.create(model="tiny", messages=MESSAGES).choices[0].message.content == ANSWER
    words = chat.create(
        model="tiny", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    assert len(list(words)) == len(PIECES)
    requests = instrumented.requests()
    assert len(requests) == 2
    for request in requests:
        assert (request.question, request.answer) == ("How long do cats sleep?", ANSWER)
        assert (request.prompt_tokens, request.completion_tokens) == (41, 7)
        assert request.version_id == "tiny"
        assert request.status == "ok"
        assert request.latency_ms["generation"] >= 1e3 * PAUSE_S
        assert request.latency_ms["total"] == request.latency_ms["generation"]


def test_a_call_that_fails_is_an_error_of_its_model(
    instrumented: Instrumented, faulty_server: FaultyServer
) -> None:
    faulty_server.answers(429, {"error": {"message": "slow down"}})
    with pytest.raises(openai.RateLimitError):
        instrumented.client.chat.completions.create(model="tiny", messages=MESSAGES)
    (request,) = instrumented.requests()
    assert (request.status, request.version_id) == ("error", "tiny")
    assert "slow down" in (request.error or "")
    assert request.answer == ""


GENAI_SERVICE = """
import json, sys
import openai
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
receiver, server, messages = sys.argv[1:]
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(receiver + "/v1/traces")))
OpenAIInstrumentor().instrument(tracer_provider=provider)
client = openai.OpenAI(base_url=server, api_key="none", max_retries=0, timeout=10)
asked = {"model": "tiny", "messages": json.loads(messages)}
client.chat.completions.create(**asked)
list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
provider.shutdown()
"""
CONTENT_IN_SPANS = {
    "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only",
}


@pytest.mark.parametrize("content", [CONTENT_IN_SPANS, {}], ids=["content", "no content"])
def test_calls_told_by_the_genai_conventions_are_requests_where_they_say_what_was_asked(
    start: Start, faulty_server: FaultyServer, content: dict[str, str]
) -> None:
    """In a process of its own: the instrumentation reads its settings once."""
    receiver = start()
    answer_slowly(faulty_server)
    service = [sys.executable, "-c", GENAI_SERVICE, receiver.url, faulty_server.base_url]
    others = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    subprocess.run([*service, json.dumps(MESSAGES)], env=others | content, check=True, timeout=120)
    lake = received(receiver)
    found = load_requests(lake)
    if not content:
        assert found == []
        noted = list_noted(lake)
        assert noted.rejects == 2
        assert all("GENAI_CAPTURE_MESSAGE_CONTENT" in one.reason for one in noted.newest)
        return
    assert len(found) == 2
    for request in found:
        assert (request.question, request.answer) == ("How long do cats sleep?", ANSWER)
        assert (request.prompt_tokens, request.completion_tokens) == (41, 7)
        assert (request.version_id, request.status) == ("tiny", "ok")
        assert request.latency_ms["total"] == request.latency_ms["generation"] >= 1e3 * PAUSE_S
