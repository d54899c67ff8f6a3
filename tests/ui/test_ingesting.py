"""The dashboard's ingest: loads what waits, and outlives what it cannot load."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest

from ragdiag.records import Request
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.spool import SpoolWriter
from ragdiag.ui import ingesting


def test_what_waits_in_the_spool_comes_in(lake: Lake, workspace: Workspace) -> None:
    with SpoolWriter(workspace) as spool:
        spool.write(Request("r1", datetime(2025, 9, 1, tzinfo=UTC), "v", "production", "why?"))
    assert ingesting.ingest_once(workspace) == 1
    assert ingesting.ingest_once(workspace) == 0
    assert lake.rows("select count(*) as n from requests") == [{"n": 1}]


def test_the_background_loads_until_it_is_stopped(lake: Lake, workspace: Workspace) -> None:
    workspace.spool.mkdir(exist_ok=True)
    background = ingesting.BackgroundIngest(workspace)
    background.stop()
    with SpoolWriter(workspace) as spool:
        spool.write(Request("r1", datetime(2025, 9, 1, tzinfo=UTC), "v", "production", "why?"))
    assert not [one for one in threading.enumerate() if one.name == f"ingest {workspace.root}"]
    assert lake.rows("from requests") == []
    background = ingesting.BackgroundIngest(workspace)
    background.stop()  # what it has begun it ends
    assert len(lake.rows("from requests")) == 1


LONG_LOAD = """
import sys, time
from pathlib import Path
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.lake import open_lake
from ragdiag.ui import ingesting

def load(lake, workspace):
    began.append(True)
    lake.rows("select sum(i * i) from range(10_000_000) as numbers (i)")

began = []
ingesting.load_waiting = load
workspace = Workspace(Path(sys.argv[1]))
open_lake(workspace, create=True)
workspace.spool.mkdir(exist_ok=True)
background = ingesting.BackgroundIngest(workspace)
while not began:
    time.sleep(0.01)
"""


def test_a_process_may_end_while_it_loads(workspace: Workspace) -> None:
    """The interpreter ends threads by unwinding them, which DuckDB answers with an abort."""
    command = [sys.executable, "-c", LONG_LOAD, str(workspace.root)]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_fault_is_logged_and_not_raised(
    lake: Lake,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object) -> None:
        raise OSError("disk gone")

    with SpoolWriter(workspace) as spool:
        spool.write(Request("r1", datetime(2025, 9, 1, tzinfo=UTC), "v", "production", "why?"))
    monkeypatch.setattr(ingesting, "load_waiting", broken)
    with caplog.at_level(logging.WARNING):
        assert ingesting.ingest_once(workspace) == 0
    assert "disk gone" in caplog.text
