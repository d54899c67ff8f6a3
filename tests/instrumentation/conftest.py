"""A logger over a real spool, and what it wrote there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ragdiag import QueryLogger
from ragdiag.records import Feedback, Request
from ragdiag.settings import Workspace
from ragdiag.store.lines import parse_line
from tests.store.conftest import finish, start_python

__all__ = ["finish", "start_python"]

MakeLogger = Callable[..., QueryLogger]


@pytest.fixture
def make_logger(workspace: Workspace) -> Iterator[MakeLogger]:
    made: list[QueryLogger] = []

    def make(**settings: Any) -> QueryLogger:
        logger = QueryLogger(**{"workspace": workspace, "version_id": "v1", **settings})
        made.append(logger)
        return logger

    yield make
    for logger in made:
        logger.close(timeout_s=1.0)


@pytest.fixture
def logger(make_logger: MakeLogger) -> QueryLogger:
    return make_logger()


@pytest.fixture
def spooled(workspace: Workspace) -> Callable[[], list[Request | Feedback]]:
    """Every record in the spool, each accepted by what ingest reads with."""

    def read() -> list[Request | Feedback]:
        paths = sorted(workspace.spool.glob("*.jsonl"), key=lambda path: path.stem.split("-")[-1])
        return [parse_line(line) for path in paths for line in path.read_bytes().splitlines()]

    return read
