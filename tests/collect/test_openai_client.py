"""The instrumented ``openai`` package against a server that speaks chat.completions: what it costs
and what it says stands in the request."""

from __future__ import annotations

import json
import signal
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
from ragdiag.store.lake import open_lake
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
        """Every request that the receiver was told of."""
        self.provider.shutdown()
        self.receiver.process.send_signal(signal.SIGTERM)
        assert self.receiver.process.wait(20) == 0
        workspace = self.receiver.workspace
        ingest = ["--workspace", str(workspace.root), "ingest", "--settle-s", "0", "--json"]
        assert main(ingest) == 0
        return load_requests(open_lake(workspace))


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
