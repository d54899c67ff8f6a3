"""A lake on real servers, each time in a schema and under a prefix of its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ragdiag.cli import main
from ragdiag.settings import Workspace
from ragdiag.store.lake import close_lakes
from tests.servers import ObjectStore, Postgres, configure

numbers = itertools.count(1)


@pytest.fixture
def place(
    postgres: Postgres, object_store: ObjectStore, credentials: None
) -> Iterator[Callable[..., Workspace]]:
    """``place(folder)`` is a workspace whose configuration names an empty place on the servers."""

    def make(folder: Path, **changes: Any) -> Workspace:
        number = next(numbers)
        given: dict[str, Any] = {
            "postgres": postgres,
            "schema": f"it's kept {number}",
            "store": object_store,
            "data_path": f"s3://lake/kept-{number}",
        }
        return configure(Workspace(folder), **{**given, **changes})

    yield make
    close_lakes()


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any, str]]:
    """Exit status, the document on stdout (None where there is none), stderr."""

    def run(workspace: Workspace, *words: str) -> tuple[int, Any, str]:
        status = main(["--workspace", str(workspace.root), *words, "--json"])
        printed = capsys.readouterr()
        return status, json.loads(printed.out) if printed.out else None, printed.err

    return run
