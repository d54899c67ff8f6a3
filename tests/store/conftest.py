"""Toys of the store: an empty lake, requests and passages by the handful, other processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ragdiag.records import ContextHit, Feedback, Hit, Passage, Request
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.spool import SpoolWriter

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)


def toy_request(number: int = 1, **changes: Any) -> Request:
    fields: dict[str, Any] = {
        "request_id": f"r{number}",
        "asked_at": MONDAY + timedelta(minutes=number),
        "version_id": "v1",
        "traffic": "production",
        "question": "How long do cats sleep?",
        "build_id": "b1",
        "question_id": "q1",
        "topic": "cats",
        "answer": "Fifteen hours a day.",
        "citations": ("p2",),
        "cache_hit": False,
        "prompt_tokens": 120,
        "cost_usd": 0.001,
        "latency_ms": {"lexical": 1.5, "total": 20.25},
        "lexical": (Hit("p1", 2.5), Hit("p2", 0.1 + 0.2)),
        "fused": (Hit("p2", 1.0), Hit("p1", 0.5), Hit("p2", 0.25)),
        "context": (ContextHit("p2", 1.0, 40),),
        "searched_depth": 100,
    }
    return Request(**{**fields, **changes})


def toy_feedback(number: int = 1, **changes: Any) -> Feedback:
    fields: dict[str, Any] = {
        "feedback_id": f"f{number}",
        "request_id": f"r{number}",
        "given_at": MONDAY,
        "kind": "thumbs",
        "value": -1.0,
    }
    return Feedback(**{**fields, **changes})


@pytest.fixture
def make_request() -> Callable[..., Request]:
    return toy_request


@pytest.fixture
def make_feedback() -> Callable[..., Feedback]:
    return toy_feedback


@pytest.fixture
def cats() -> list[Passage]:
    """The document ``cats`` in three passages."""
    texts = ("Cats sleep fifteen hours a day.", "They hunt at dusk.", "They purr.")
    return [Passage(f"cats#{n}", "cats", text, "Cats", n) for n, text in enumerate(texts)]


@pytest.fixture
def start_python(workspace: Workspace) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start another Python that runs ``code`` with ``workspace`` and ``arguments`` defined."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: str) -> subprocess.Popen[str]:
        prelude = (
            "import sys; from pathlib import Path; from ragdiag.settings import Workspace\n"
            "workspace = Workspace(Path(sys.argv[1])); arguments = sys.argv[2:]\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", prelude + code, str(workspace.root), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def finish() -> Callable[[subprocess.Popen[str]], str]:
    """Wait for a process; its standard output, or a failure that shows its standard error."""

    def wait(process: subprocess.Popen[str]) -> str:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out

    return wait


@pytest.fixture(scope="session")
def filled_workspace(
    tmp_path_factory: pytest.TempPathFactory, empty_workspace: Workspace
) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("filled") / "workspace")
    shutil.copytree(empty_workspace.root, workspace.root)
    for part in range(3):
        with SpoolWriter(workspace) as spool:
            for number in range(part * 40, part * 40 + 40):
                at = MONDAY + timedelta(hours=number)
                spool.write(toy_request(number, asked_at=at))
                if number % 4 == 0:
                    spool.write(toy_feedback(number, given_at=at))
        ingest(open_lake(workspace), workspace)
    close_lakes()
    return workspace


@pytest.fixture
def filled(copied: Callable[[Workspace], Lake], filled_workspace: Workspace) -> Lake:
    """Three segments of 40 requests, one an hour, with feedback on every fourth: three data files
    of requests."""
    return copied(filled_workspace)
