"""Real receivers in processes of their own, and bodies to send them."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ragdiag.collect.server import TOKEN_VARIABLE
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.lake import close_lakes

PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Receiver:
    process: subprocess.Popen[str]
    workspace: Workspace
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(
        self, body: bytes | Iterator[bytes], path: str = "/v1/traces", **headers: str
    ) -> Answer:
        """POST; header names are written with underscores."""
        given = {"Content-Type": PROTOBUF}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, body, {k: v for k, v in given.items() if v})

    def ask(self, method: str, path: str, body: Any = None, headers: Any = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())
        finally:
            connection.close()


Start = Callable[..., Receiver]


def launch(workspace: Workspace, *options: str, token: str | None = None) -> Receiver:
    environment = {key: value for key, value in os.environ.items() if key != TOKEN_VARIABLE}
    if token is not None:
        environment[TOKEN_VARIABLE] = token
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "ragdiag", "--workspace", str(workspace.root)),
            *("collect", "--port", "0", "--json", *options),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env=environment,
    )
    assert process.stdout is not None
    told = ""
    while not told.endswith("}\n"):
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        told += line
    receiver = Receiver(process, workspace, int(json.loads(told)["url"].rpartition(":")[2]))
    deadline = time.monotonic() + 30
    while receiver.ask("GET", "/health").status not in (200, 503):
        assert time.monotonic() < deadline
    return receiver


def stop(receiver: Receiver) -> None:
    if receiver.process.poll() is None:
        receiver.process.kill()
    receiver.process.communicate()


@pytest.fixture
def start(workspace: Workspace) -> Iterator[Start]:
    """Start ``ragdiag collect`` with these options; ended with the test."""
    started: list[Receiver] = []

    def begin(*options: str, folder: Path | None = None, token: str | None = None) -> Receiver:
        place = workspace if folder is None else Workspace(folder)
        started.append(launch(place, *options, token=token))
        return started[-1]

    yield begin
    for receiver in started:
        stop(receiver)
    close_lakes()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """One receiver for a module: with a token, bodies of 1 MB at most."""
    folder = tmp_path_factory.mktemp("guarded") / "workspace"
    receiver = launch(Workspace(folder), "--max-body-mb", "1", token="s3cret")
    yield receiver
    stop(receiver)


@pytest.fixture
def body() -> Callable[..., bytes]:
    """A protobuf export of ``spans`` spans of one trace: a chain that was asked something, and
    ``size`` characters of text each."""

    def build(trace: int = 1, spans: int = 2, size: int = 10, **changes: Any) -> bytes:
        request = ExportTraceServiceRequest()
        held = request.resource_spans.add().scope_spans.add().spans
        now = time.time_ns()
        for number in range(1, spans + 1):
            span = held.add(
                trace_id=trace.to_bytes(16, "big"),
                span_id=number.to_bytes(8, "big"),
                name=f"span {number}",
                start_time_unix_nano=now,
                end_time_unix_nano=now + 10**6,
            )
            if number > 1:
                span.parent_span_id = (1).to_bytes(8, "big")
            for key, text in (("input.value", f"q{trace}?"), ("note", "x" * size)):
                attribute = span.attributes.add(key=key)
                attribute.value.string_value = text
            for key, value in changes.items():
                setattr(span, key, value)
        return request.SerializeToString()

    return build
