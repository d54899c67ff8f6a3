"""The small demo, built once for all the tests that look at it: killed in the middle, then
finished."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ragdiag.demo.marker import DemoReport
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.lake import Lake, close_lakes, open_lake

KILLED_IN_WEEK = 6
KILLED_BUILD = f"""
import os, signal, sys, threading
from pathlib import Path
from ragdiag.demo.build import build_demo
from ragdiag.settings import Workspace

def kill_within_a_week(fraction, message):
    if message.startswith("week {KILLED_IN_WEEK} "):
        threading.Timer(0.6, os.kill, [os.getpid(), signal.SIGKILL]).start()

build_demo(Workspace(Path(sys.argv[1])), "small", kill_within_a_week)
"""


@dataclass(frozen=True)
class BuiltDemo:
    """``before`` are ids and times of the requests that the killed build left behind, ``told`` the
    fractions of progress of the build that finished."""

    workspace: Workspace
    report: DemoReport
    before: dict[str, float]
    told: list[float]

    @property
    def lake(self) -> Lake:
        return open_lake(self.workspace)


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuiltDemo]:
    from ragdiag.demo.build import build_demo

    workspace = Workspace(tmp_path_factory.mktemp("demo") / "workspace")
    command = [sys.executable, "-c", KILLED_BUILD, str(workspace.root)]
    killed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=900)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    lake = open_lake(workspace)
    rows = lake.rows("select request_id, total_ms from requests")
    told: list[float] = []
    report = build_demo(workspace, "small", lambda fraction, _: told.append(fraction))
    yield BuiltDemo(workspace, report, {r["request_id"]: r["total_ms"] for r in rows}, told)
    close_lakes()
