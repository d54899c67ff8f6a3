"""What was answered 200 is stored, however the receiver ends; from the real SDK to requests."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from ragdiag.cli import main
from ragdiag.records import Request
from ragdiag.settings import Workspace
from ragdiag.store.lake import open_lake
from ragdiag.store.results import load_requests
from ragdiag.store.upkeep.check import check_store

from .conftest import Start

Body = Callable[..., bytes]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def ingested(workspace: Workspace) -> list[Request]:
    assert main(["--workspace", str(workspace.root), "ingest", "--settle-s", "0", "--json"]) == 0
    return load_requests(open_lake(workspace))


class VectorRetriever(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: object) -> list[Document]:
        time.sleep(0.002)
        return [Document(id="cats#0", page_content="Cats sleep fifteen hours.")]


def test_real_sdk_and_instrumentation_to_requests(start: Start, workspace: Workspace) -> None:
    receiver = start(token="s3cret")
    exporter = OTLPSpanExporter(
        f"{receiver.url}/v1/traces",
        headers={"authorization": "Bearer s3cret"},
        compression=Compression.Gzip,
    )
    provider = TracerProvider(resource=Resource.create({"service.version": "3.0"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    instrumentor = LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    chain = VectorRetriever() | RunnableLambda(lambda found: found[0].page_content.upper())
    try:
        for number in range(20):
            chain.invoke(f"How long do cats sleep? ({number})")
    finally:
        instrumentor.uninstrument()
        provider.shutdown()
    receiver.process.send_signal(signal.SIGTERM)
    assert receiver.process.wait(20) == 0
    requests = ingested(workspace)
    assert [r.question for r in requests] == [
        f"How long do cats sleep? ({number})" for number in range(20)
    ]
    for request in requests:
        assert request.answer == "CATS SLEEP FIFTEEN HOURS."
        assert [hit.passage_id for hit in request.dense or ()] == ["cats#0"]
        assert request.latency_ms["dense"] >= 2
        assert request.latency_ms["total"] >= request.latency_ms["dense"]
        assert request.version_id == "3.0"
    texts = open_lake(workspace).rows("select text from logged_passages")
    assert texts == [{"text": "Cats sleep fifteen hours."}]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_right_after_200_loses_nothing(
    start: Start, workspace: Workspace, body: Body, end: signal.Signals
) -> None:
    receiver = start()
    assert receiver.send(body(1)).status == 200
    receiver.process.send_signal(end)
    assert receiver.process.wait(20) == (0 if end == signal.SIGTERM else -signal.SIGKILL)
    (request,) = ingested(workspace)
    assert request.question == "q1?"


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_amid_traffic_loses_nothing_acknowledged(
    start: Start, workspace: Workspace, body: Body, end: signal.Signals
) -> None:
    receiver = start()
    acknowledged: list[int] = []

    def send(first: int) -> None:
        for trace in range(first, first + 10_000):
            try:
                if receiver.send(body(trace, size=2_000)).status == 200:
                    acknowledged.append(trace)
            except OSError:
                return

    threads = [threading.Thread(target=send, args=(1 + n * 10_000,)) for n in range(4)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 100:
        time.sleep(0.01)
    receiver.process.send_signal(end)
    receiver.process.wait(20)
    for thread in threads:
        thread.join(30)
    stored = {int(request.request_id, 16) for request in ingested(workspace)}
    assert set(acknowledged) <= stored
    assert receiver.process.returncode == (0 if end == signal.SIGTERM else -signal.SIGKILL)


def test_sigterm_lets_a_request_finish_that_is_being_received(
    start: Start, workspace: Workspace, body: Body
) -> None:
    receiver = start()
    whole = body(1, size=200_000)

    def pieces():  # type: ignore[no-untyped-def]
        yield whole[:1_000]
        receiver.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        yield whole[1_000:]

    assert receiver.send(pieces()).status == 200
    assert receiver.process.wait(20) == 0
    (segment,) = workspace.spool.glob("*.jsonl")
    assert len(segment.read_bytes().splitlines()) == 2


def test_a_client_that_goes_away_harms_nobody(start: Start, body: Body) -> None:
    receiver = start()
    with socket.create_connection(("127.0.0.1", receiver.port)) as half:
        half.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
            b"Content-Length: 5000\r\n\r\nhalf"
        )
    assert receiver.send(body(1)).status == 200
    deadline = time.monotonic() + 10
    while b'"waiting_bytes":0' not in receiver.ask("GET", "/health").body:
        assert time.monotonic() < deadline


def test_a_span_that_ingest_would_not_read_is_refused(
    start: Start, workspace: Workspace, body: Body
) -> None:
    export = ExportTraceServiceRequest.FromString(body(1, spans=1))
    (span,) = export.resource_spans[0].scope_spans[0].spans
    for number in range(11):  # 8 MB here, and 16.5 MB as the escapes of a line
        span.attributes.add(key=f"text {number}").value.string_value = "語" * 250_000
    receiver = start()
    answer = receiver.send(export.SerializeToString() + body(2))
    told = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, told.rejected_spans) == (200, 1)
    assert told.error_message == "longer than 16000000 bytes as a line of JSON"
    assert json.loads(receiver.ask("GET", "/health").body)["records"] == 2
    receiver.process.send_signal(signal.SIGTERM)
    receiver.process.wait(20)
    assert [request.question for request in ingested(workspace)] == ["q2?"]
    (told,) = open_lake(workspace).rows("select reason, body from rejects")
    assert told["reason"] == "longer than 16000000 bytes as a line of JSON"
    assert json.loads(told["body"]) == {
        "trace_id": f"{1:032x}",
        "span_id": f"{1:016x}",
        "name": "span 1",
    }


def test_a_refused_span_is_a_reject_of_the_lake(
    start: Start, workspace: Workspace, body: Body
) -> None:
    receiver = start()
    bad = body(1, spans=1, size=5_000, end_time_unix_nano=1)
    assert receiver.send(bad + body(2, spans=1)).status == 200
    spans = [{"traceId": "12", "name": "語" * 300, "attributes": {"user.id": "ann"}}] * 30
    document = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    assert receiver.send(document.encode(), Content_Type="application/json").status == 200
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add().body.string_value = "started"
    assert receiver.send(logs.SerializeToString(), "/v1/logs").status == 200
    receiver.process.send_signal(signal.SIGTERM)
    assert receiver.process.wait(20) == 0
    assert [request.question for request in ingested(workspace)] == ["q2?"]
    lake = open_lake(workspace)
    rejects = lake.rows("select source, line, reason, body from rejects order by line")
    first, second, *_, last = rejects
    assert first["source"] == lake.rows("select segment from segments")[0]["segment"]
    assert first["reason"] == "span 0000000000000001 ends before it starts"
    assert json.loads(first["body"]) == {
        "trace_id": f"{1:032x}",
        "span_id": f"{1:016x}",
        "name": "span 1",
    }
    assert second["reason"] == "trace id '12' is not 32 hexadecimal digits"
    assert json.loads(second["body"])["name"] == "語" * 200 + "…[cut: 300 characters]"
    assert last["reason"] == (
        "31 were refused within a minute, 21 of them told one by one: bad trace id (30×), "
        "ends before it starts"
    )
    assert len(rejects) == 1 + 20 + 1, "log records that nothing reads are no defect"
    assert "ann" not in repr(rejects)
    assert check_store(lake, workspace).findings == ()


def test_a_signal_right_after_200_loses_no_reason(
    start: Start, workspace: Workspace, body: Body
) -> None:
    receiver = start()
    assert receiver.send(body(1, spans=1, end_time_unix_nano=1)).status == 200
    receiver.process.send_signal(signal.SIGKILL)
    receiver.process.wait(20)
    assert ingested(workspace) == []
    assert len(open_lake(workspace).rows("from rejects")) == 1


def test_spans_sent_twice_count_once(start: Start, workspace: Workspace, body: Body) -> None:
    receiver = start()
    again = body(1)
    assert [receiver.send(again).status for _ in range(3)] == [200] * 3
    receiver.process.send_signal(signal.SIGTERM)
    receiver.process.wait(20)
    assert len(ingested(workspace)) == 1
    rejects = open_lake(workspace).rows("select * from rejects")
    assert rejects == []
