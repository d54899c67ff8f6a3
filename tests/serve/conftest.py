"""Real services in processes of their own, over the toy corpus, and a language model to play with.

Most versions here are BM25 and an OpenAI-compatible server: a service of them loads no model.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from ragdiag.cli import main
from ragdiag.records import Feedback, Passage, PassageMetadata, Request
from ragdiag.retrieval.builds import build_index
from ragdiag.serve.server import TOKEN_VARIABLE
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.corpus import add_documents, load_passages
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.lines import parse_line
from ragdiag.store.results import load_requests, save_build, save_version
from ragdiag.version import Version, parse_spec
from tests.local_http import served
from tests.stocked import add as add
from tests.stocked import build as build
from tests.stocked import corpus as corpus
from tests.stocked import stocked_workspace as stocked_workspace

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
PLANS = [
    ("acme", "The merger plan names forty shops."),
    ("zeta", "The merger plan names ninety factories."),
]
"""What the house knows of its tenants, a passage each."""

QUESTION = "How long do cats sleep?"


@dataclass
class ToyModel:
    """Quotes the first passage it is given, once ``gate`` is open, or answers with ``status``."""

    base_url: str = ""
    status: int = 200
    asked: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def reply(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        content = body["messages"][-1]["content"]
        self.asked.append(content.rpartition("Question: ")[2])
        self.gate.wait(60)
        first = content.splitlines()[1]
        message = {"role": "assistant", "content": f"{first} [1]"}
        usage = {"prompt_tokens": 50, "completion_tokens": 5, "total_tokens": 55}
        return self.status, {"choices": [{"index": 0, "message": message}], "usage": usage}


@pytest.fixture(scope="session")
def model() -> Iterator[ToyModel]:
    toy = ToyModel()
    toy.gate.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            status, told = toy.reply(json.loads(self.rfile.read(length)))
            payload = json.dumps(told).encode()
            try:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)
            except OSError:
                self.close_connection = True  # the service has ended

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with served(Handler, toy.gate) as toy.base_url:
        yield toy


def toy_version(name: str, model: ToyModel, tables: str = "", *, lexical: str = "") -> Version:
    """BM25 with the toy model, and these tables more."""
    generator = f"kind = 'openai'\nmodel = 'toy'\nbase_url = '{model.base_url}'\nretries = 0"
    text = f"[lexical]\n{lexical}\n[generator]\n{generator}\n{tables}"
    return Version(name, parse_spec(text, source=name))


@pytest.fixture
def version(corpus: Lake, model: ToyModel) -> Version:
    made = toy_version("plain", model)
    save_version(corpus, made)
    return made


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[str]
    port: int

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", path, raw, headers)

    def get(self, path: str, **headers: str) -> Reply:
        return self.send("GET", path, None, headers)

    def ask(self, question: str = QUESTION, **fields: Any) -> Reply:
        return self.post("/ask", {"question": question, **fields})

    def send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            is_json = answer.headers["content-type"] == "application/json"
            return Reply(
                answer.status,
                {name.lower(): value for name, value in answer.headers.items()},
                json.loads(text) if is_json else text.decode(),
            )
        finally:
            connection.close()

    def wait_until(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not ready():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end(self) -> str:
        """SIGTERM; what it said on stderr."""
        self.process.send_signal(signal.SIGTERM)
        _, told = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, told
        return told


@dataclass(frozen=True)
class House:
    """A running service and what it serves."""

    service: Running
    workspace: Workspace
    version: Version
    build_id: str

    def post(self, path: str, body: Any) -> Reply:
        return self.service.post(path, body, Authorization="Bearer s3cret")

    def ask(self, question: str, **fields: Any) -> Reply:
        return self.post("/ask", {"question": question, **fields})

    def spooled(self, request_id: str) -> list[Request | Feedback]:
        """What the log holds about one request, once it holds something."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            files = sorted(self.workspace.spool.glob("*.*"))
            lines = [line for file in files for line in file.read_bytes().splitlines()]
            found = [one for one in map(parse_line, lines) if one.request_id == request_id]  # type: ignore[union-attr]
            if found:
                return found  # type: ignore[return-value]
            time.sleep(0.05)
        return []


def launch(
    workspace: Workspace,
    *options: str,
    token: str | None = None,
    ready: bool = True,
    module: str = "ragdiag",
    **variables: str,
) -> Running:
    """``ragdiag serve`` with these options, once it is ready."""
    hidden = {TOKEN_VARIABLE, *PROXIES, *map(str.upper, PROXIES)}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    if token is not None:
        environment[TOKEN_VARIABLE] = token
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", module, "--workspace", str(workspace.root)),
            *("serve", "--port", "0", "--json", "--rate", "100000", *options),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env={**environment, **variables},
    )
    assert process.stdout is not None
    told = ""
    while not told.endswith("}\n"):
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        told += line
    running = Running(process, int(json.loads(told)["url"].rpartition(":")[2]))
    if ready:
        running.wait_until(lambda: running.get("/health").status == 200)
    return running


Start = Callable[..., Running]


@pytest.fixture
def start(workspace: Workspace) -> Iterator[Start]:
    """``start("version", "--queue", "1")`` launches a service that ends with the test."""
    started: list[Running] = []

    def begin(*options: str, **settings: Any) -> Running:
        started.append(launch(workspace, *options, **settings))
        return started[-1]

    yield begin
    for running in started:
        running.kill()


@pytest.fixture(scope="session")
def house(
    tmp_path_factory: pytest.TempPathFactory, stocked_workspace: Workspace, model: ToyModel
) -> Iterator[House]:
    """One service for many tests: with a token, a cache, and a stage that may fail."""
    workspace = Workspace(tmp_path_factory.mktemp("house") / "workspace")
    shutil.copytree(stocked_workspace.root, workspace.root)
    lake = open_lake(workspace)
    add_documents(
        lake, [Passage(who, who, text, metadata=PassageMetadata(who)) for who, text in PLANS]
    )
    version = toy_version("cached", model, "[cache]\n[degradation]\nfailures = 1000")
    save_version(lake, version)
    build = build_index(load_passages(lake), version.spec, workspace)
    save_build(lake, build)
    close_lakes()
    running = launch(workspace, "cached", token="s3cret")
    yield House(running, workspace, version, build.build_id)
    running.kill()


@pytest.fixture
def logged(workspace: Workspace, corpus: Lake) -> Callable[[], dict[str, Request]]:
    """What is in the lake once everything in the spool has been ingested, by request id."""

    def read() -> dict[str, Request]:
        root = str(workspace.root)
        assert main(["--workspace", root, "ingest", "--settle-s", "0", "--json"]) == 0
        assert corpus.rows("select * from rejects") == []
        return {one.request_id: one for one in load_requests(corpus)}

    return read
