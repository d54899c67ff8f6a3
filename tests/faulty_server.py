"""A language-model server on 127.0.0.1 that misbehaves as real ones do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tests.local_http import served


@dataclass
class FaultyServer:
    """Answers every request through ``respond``; ``seen`` are their JSON bodies, ``uploads`` the
    bodies that are none."""

    base_url: str
    seen: list[dict[str, Any]] = field(default_factory=list)
    uploads: list[bytes] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    respond: Callable[[BaseHTTPRequestHandler], None] = lambda handler: None
    released: threading.Event = field(default_factory=threading.Event)

    def answers(self, status: int, body: object) -> None:
        """Every request gets ``status`` and ``body`` (bytes as they are, else JSON)."""
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.respond = lambda handler: reply(handler, status, payload)

    def says(self, answer: Callable[[str], str]) -> None:
        """Every request gets what ``answer`` makes of its last message."""

        def respond(handler: BaseHTTPRequestHandler) -> None:
            said = answer(self.seen[-1]["messages"][-1]["content"])
            body = json.dumps({"choices": [{"message": {"content": said}}]})
            reply(handler, 200, body.encode())

        self.respond = respond

    def hangs(self) -> None:
        """Takes the request and never answers, until the test ends."""
        self.respond = lambda handler: self.released.wait(30) and None

    def trickles(self) -> None:
        """Sends one byte every 50 ms, so that no read ever times out."""

        def respond(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("content-type", "application/json")
            handler.end_headers()
            while not self.released.wait(0.05):
                handler.wfile.write(b" ")
                handler.wfile.flush()

        self.respond = respond


def reply(handler: BaseHTTPRequestHandler, status: int, payload: bytes) -> None:
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(payload)))
    handler.end_headers()
    handler.wfile.write(payload)


@pytest.fixture
def faulty_server() -> Iterator[FaultyServer]:
    state = FaultyServer("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.headers.get("content-type", "").startswith("multipart/"):
                state.uploads.append(body)
            elif body:
                state.seen.append(json.loads(body))
            state.keys.append(self.headers.get("authorization"))
            self.close_connection = True
            try:
                state.respond(self)
            except (BrokenPipeError, ConnectionResetError):
                return  # the client gave up, as it should

        do_GET = do_POST  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with served(Handler, state.released) as state.base_url:
        yield state
