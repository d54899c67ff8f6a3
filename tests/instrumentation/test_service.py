"""The guide's service under a real uvicorn with two workers, ended by SIGTERM."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from ragdiag.records import Feedback, Request
from ragdiag.settings import PROJECT, Workspace

HELPERS = """
import asyncio

async def search(question):
    await asyncio.sleep(0.005)
    return [{"id": f"p{n}", "score": 1 / n, "text": "Cats sleep."} for n in range(1, 11)]

def rerank(question, found):
    return found[:3]

"""
ASKED = 60


@contextmanager
def served(workspace: Workspace, tmp_path: Path) -> Iterator[int]:
    """The port where the service listens; on leaving it has ended."""
    guide = (PROJECT / "docs" / "logging.md").read_text()
    (service,) = re.findall(r"```python\n(from contextlib.*?)```", guide, flags=re.DOTALL)
    service = service.replace("rate=0.2", "rate=1.0")
    service = service.replace('"data/workspace"', repr(str(workspace.root)))
    (tmp_path / "service.py").write_text(HELPERS + service)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--workers", "2", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "service:app", *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    try:
        deadline = time.monotonic() + 60
        while not is_open(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield port
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def post(port: int, path: str, **query: object) -> dict[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", f"{path}?{urlencode(query)}")
    answer = connection.getresponse()
    assert answer.status == 200
    body = json.loads(answer.read())
    connection.close()
    return body or {}


@pytest.mark.slow
def test_every_answered_request_is_logged(
    workspace: Workspace, tmp_path: Path, spooled: Callable[[], list[Request | Feedback]]
) -> None:
    def ask(number: int) -> tuple[str, str]:
        question = f"question {number}"
        request_id = post(port, "/ask", question=question, user=f"u{number % 5}")["request_id"]
        post(port, "/thumbs", request_id=request_id, up=False)
        return request_id, question

    with served(workspace, tmp_path) as port, ThreadPoolExecutor(8) as pool:
        answered = dict(pool.map(ask, range(ASKED)))
    found = spooled()
    requests = {one.request_id: one for one in found if isinstance(one, Request)}
    assert {name: one.question for name, one in requests.items()} == answered
    assert len(found) == 2 * ASKED
    assert len({one.user_key for one in requests.values()}) == 5
    assert {one.request_id for one in found if isinstance(one, Feedback)} == answered.keys()
    assert all(len(one.reranked or ()) == 3 for one in requests.values())
