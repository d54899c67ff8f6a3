"""What the receiver answers: each status, in both encodings, against hostile bodies too."""

from __future__ import annotations

import gzip
import json
import signal
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.testclient import TestClient

from ragdiag.cli import main
from ragdiag.collect.app import make_app
from ragdiag.collect.limits import Limits
from ragdiag.settings import Workspace
from ragdiag.spans.building import AHEAD
from ragdiag.store.lake import open_lake
from ragdiag.store.lines import RefusedLine, parse_line
from ragdiag.store.results import load_requests

from .conftest import PROTOBUF, Receiver, Start

Body = Callable[..., bytes]
KEY = {"Authorization": "Bearer s3cret"}


def spooled(receiver: Receiver) -> list[object]:
    """The records in its spool."""
    files = sorted(receiver.workspace.spool.glob("*.*"))
    found: list[object] = []
    for line in (line for file in files for line in file.read_bytes().splitlines()):
        with suppress(RefusedLine):
            found.append(parse_line(line))
    return found


def test_200_in_both_encodings_packed_or_not(guarded: Receiver, body: Body) -> None:
    before = len(spooled(guarded))
    plain = guarded.send(body(1), **KEY)
    packed = guarded.send(gzip.compress(body(2)), Content_Encoding="gzip", **KEY)
    halves = gzip.compress(body(3)[:50]) + gzip.compress(body(3)[50:])
    members = guarded.send(halves, Content_Encoding="gzip", **KEY)
    for answer in (plain, packed, members):
        assert (answer.status, answer.headers["content-type"]) == (200, PROTOBUF)
        assert ExportTraceServiceResponse.FromString(answer.body) == ExportTraceServiceResponse()
    text = guarded.send(
        b'{"resourceSpans": []}', Content_Type="application/json; charset=utf-8", **KEY
    )
    assert (text.status, json.loads(text.body)) == (200, {})
    assert len(spooled(guarded)) - before == 6


def test_bad_spans_are_counted_and_the_others_stored(guarded: Receiver, body: Body) -> None:
    before = len(spooled(guarded))
    bad = body(4, spans=3, end_time_unix_nano=1)
    answer = guarded.send(bad + body(5), **KEY)
    told = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, told.rejected_spans) == (200, 3)
    assert "ends before it starts" in told.error_message
    assert len(spooled(guarded)) - before == 2
    span = {"traceId": "12", "spanId": "34"}
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [span, span]}]}]}
    text = guarded.send(json.dumps(document).encode(), Content_Type="application/json", **KEY)
    partial = json.loads(text.body)["partialSuccess"]
    assert partial["rejectedSpans"] == "2"
    assert partial["errorMessage"] == (
        "bad trace id (2×); the first: trace id '12' is not 32 hexadecimal digits"
    )
    refused = json.loads(guarded.ask("GET", "/health").body)["refused"]
    assert (refused["ends before it starts"], refused["bad trace id"]) == (3, 2)


def test_refusals_are_logged_where_the_receiver_runs(start: Start, body: Body) -> None:
    receiver = start()
    for trace in (1, 2):
        receiver.send(body(trace, end_time_unix_nano=1))
    receiver.process.send_signal(signal.SIGTERM)
    _, told = receiver.process.communicate(timeout=20)
    assert told.splitlines() == ["refused: ends before it starts (2×)"] * 2


def test_spans_from_a_fast_clock_are_stored_and_warned_of(
    start: Start, workspace: Workspace, body: Body
) -> None:
    receiver = start()
    later = time.time_ns() + 3 * 86_400 * 10**9
    answer = receiver.send(body(1, start_time_unix_nano=later, end_time_unix_nano=later + 10**6))
    told = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, told.rejected_spans) == (200, 0)
    assert told.error_message == f"{AHEAD} (2×)"
    health = json.loads(receiver.ask("GET", "/health").body)
    assert (health["records"], health["refused"], health["remarks"]) == (2, {}, {AHEAD: 2})
    receiver.process.send_signal(signal.SIGTERM)
    assert receiver.process.wait(20) == 0
    assert main(["--workspace", str(workspace.root), "ingest", "--settle-s", "0", "--json"]) == 0
    (request,) = load_requests(open_lake(workspace))
    assert request.asked_at.timestamp() == pytest.approx(later / 10**9)


def test_413_for_more_spans_than_are_read_at_once(start: Start, body: Body) -> None:
    receiver = start("--max-spans", "6")
    assert receiver.send(body(1, spans=4)).status == 200
    for sent, media in (
        (body(1, spans=5), PROTOBUF),
        (b'{"resourceSpans": [1, 2, 3, 4]}', "application/json"),
    ):
        answer = receiver.send(sent, Content_Type=media)
        assert answer.status == 413
        assert b"more than 6 spans, resources and scopes; send smaller batches" in answer.body


def test_a_small_body_cannot_hold_up_the_rest(guarded: Receiver, body: Body) -> None:
    pairs = ",".join(f'{{"key":"k{n}","value":{{"intValue":1}}}}' for n in range(4_096))
    scopes = f'"scopeSpans":[{{"spans":[{"1," * 400_000}1]}}]'
    hostile = f'{{"resourceSpans":[{{"resource":{{"attributes":[{pairs}]}},{scopes}}}]}}'.encode()
    began = time.monotonic()
    answer = guarded.send(hostile, Content_Type="application/json", **KEY)
    assert (answer.status, b"\n" in answer.body) == (413, False)
    assert guarded.send(body(9), **KEY).status == 200
    assert time.monotonic() - began < 10  # it took minutes when each span read its resource anew


@pytest.mark.parametrize("key", ["", "Bearer wrong", "s3cret", "Basic s3cret", "Bearer "])
def test_401_without_the_token(guarded: Receiver, body: Body, key: str) -> None:
    answer = guarded.send(body(), Authorization=key)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "bearer token" in Status.FromString(answer.body).message


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/plain"},
        {"Content_Type": ""},
        {"Content_Type": "application/grpc"},
        {"Content_Encoding": "br"},
        {"Content_Encoding": "gzip, gzip"},
    ],
)
def test_415_for_other_types_and_encodings(
    guarded: Receiver, body: Body, headers: dict[str, str]
) -> None:
    assert guarded.send(body(), **headers, **KEY).status == 415


def endless() -> Iterator[bytes]:
    for _ in range(100):
        yield b"x" * 65_536


def test_413_before_unpacking_and_after(guarded: Receiver, body: Body) -> None:
    assert guarded.send(body(size=1_000_000), **KEY).status == 413
    assert guarded.send(endless(), **KEY).status == 413
    bomb = gzip.compress(bytes(300_000_000))
    assert len(bomb) < 1_000_000
    answer = guarded.send(bomb, Content_Encoding="gzip", **KEY)
    assert answer.status == 413
    assert "1000000 bytes" in Status.FromString(answer.body).message


@pytest.mark.parametrize("kind", ["cut", "no gzip", "checksum", "empty"])
def test_400_for_broken_gzip(guarded: Receiver, body: Body, kind: str) -> None:
    whole = gzip.compress(body(size=1_000))
    broken = {
        "cut": whole[:-20],
        "no gzip": b"plain",
        "checksum": whole[:-8] + b"\0" * 8,
        "empty": zlib.compress(b""),
    }
    assert guarded.send(broken[kind], Content_Encoding="gzip", **KEY).status == 400


@pytest.mark.parametrize(
    ("text", "media"),
    [
        (b"\xff\xff garbage", PROTOBUF),
        (b"\x0a\x80\x80\x80\x60claims 200 MB", PROTOBUF),
        (b"[" * 900_000, "application/json"),
        (b'{"resourceSpans": 7}', "application/json"),
        (b"\xff", "application/json"),
        (b"", "application/json"),
    ],
)
def test_400_for_what_is_no_export(guarded: Receiver, text: bytes, media: str) -> None:
    answer = guarded.send(text, Content_Type=media, **KEY)
    assert answer.status == 400
    assert guarded.ask("GET", "/health").status == 200


def test_other_paths_and_methods(guarded: Receiver, body: Body) -> None:
    assert guarded.send(b"", "/v1/metrics", **KEY).status == 404
    assert guarded.send(b"", "/elsewhere", **KEY).status == 404
    assert guarded.ask("GET", "/v1/traces").status == 405
    health = json.loads(guarded.ask("GET", "/health").body)
    assert (health["status"], health["waiting_bytes"]) == ("ok", 0)


def test_logs_give_grades_and_say_what_was_not_kept(guarded: Receiver) -> None:
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    records.add().body.string_value = "started"
    for trace in (b"K" * 16, b""):
        told = records.add(event_name="gen_ai.evaluation.result", trace_id=trace)
        told.attributes.add(key="gen_ai.evaluation.name").value.string_value = "correctness"
        told.attributes.add(key="gen_ai.evaluation.score.label").value.string_value = "pass"
    before = len(spooled(guarded))
    answer = guarded.send(request.SerializeToString(), "/v1/logs", **KEY)
    partial = ExportLogsServiceResponse.FromString(answer.body).partial_success
    assert partial.rejected_log_records == 2
    assert "a result needs a trace id" in partial.error_message
    (grade,) = spooled(guarded)[before:]
    assert (grade.request_id, grade.y) == ((b"K" * 16).hex(), 1)  # type: ignore[attr-defined]


def test_429_names_when_to_come_again(start: Start, body: Body) -> None:
    receiver = start("--rate", "0.5")
    answers = [receiver.send(body()) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 429, 429]
    assert answers[1].headers["retry-after"] == "2"
    assert "0.5 requests a second" in Status.FromString(answers[1].body).message


def test_503_while_too_much_waits(start: Start, body: Body) -> None:
    receiver = start("--max-waiting-mb", "0.05")
    answer = receiver.send(body(size=100_000))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert receiver.send(body()).status == 200


def test_503_while_too_many_requests_are_under_way(workspace: Workspace, body: Body) -> None:
    with TestClient(make_app(workspace, None, Limits(max_requests=0))) as client:
        answer = client.post("/v1/traces", content=body(), headers={"Content-Type": PROTOBUF})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert Status.FromString(answer.content).message == "too many requests at once: try again"


def test_idle_connections_keep_nobody_out(start: Start, body: Body) -> None:
    receiver = start()
    with ExitStack() as stack:
        for _ in range(Limits().max_requests + 1):
            stack.enter_context(socket.create_connection(("127.0.0.1", receiver.port)))
        assert receiver.send(body()).status == 200


def test_503_while_the_disk_is_full(start: Start, body: Body, small_disk: Path) -> None:
    receiver = start(folder=small_disk)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(2_900_000))
    answer = receiver.send(body(size=200_000))
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert receiver.ask("GET", "/health").status == 503
    filler.unlink()
    assert receiver.send(body(7)).status == 200
    assert receiver.ask("GET", "/health").status == 200
    assert len(spooled(receiver)) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "without a token only this machine may send"),
        (["--host", "no.such.host.invalid"], "is open to others"),
        (["--token-file", "/nowhere"], "cannot read /nowhere"),
        (["--port", "70000"], "--port"),
    ],
)
def test_what_it_will_not_do_is_one_line(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("RAGDIAG_COLLECT_TOKEN", raising=False)
    assert main(["--workspace", str(tmp_path), "collect", *options]) == 2
    assert message in capsys.readouterr().err


def test_a_port_in_use_is_one_line(
    guarded: Receiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = str(guarded.port)
    assert main(["--workspace", str(tmp_path), "collect", "--port", port]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def test_an_empty_token_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAGDIAG_COLLECT_TOKEN", " ")
    assert main(["--workspace", str(tmp_path), "collect"]) == 2
    assert "is empty" in capsys.readouterr().err
