"""Processes, threads and tasks that log at once, and one that is killed meanwhile."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import close_lakes, open_lake
from tests.instrumentation.workers import EACH

Start = Callable[..., subprocess.Popen[str]]
Finish = Callable[[subprocess.Popen[str]], str]


@pytest.mark.slow
def test_what_was_acknowledged_is_stored_once(workspace: Workspace, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.instrumentation.workers", str(workspace.root), str(notes)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    acknowledged = [one for path in notes.iterdir() for one in path.read_text().split()]
    assert len(acknowledged) >= 1 + 20 + 9 * EACH
    lake = open_lake(workspace, create=True)
    report = ingest(lake, workspace)
    stored = [row["request_id"] for row in lake.rows("select request_id from requests")]
    close_lakes()
    assert report.rejected <= 1  # the victim may have died within a line
    assert len(stored) == len(set(stored)) == report.accepted
    assert set(acknowledged) <= set(stored)
    assert all(one.startswith("victim.") for one in set(stored) - set(acknowledged))
    assert report.repeated == 0


def test_the_end_of_a_process_waits_for_what_it_said(
    start_python: Start, finish: Finish, spooled: Callable[[], list[object]]
) -> None:
    code = (
        "from ragdiag import QueryLogger\n"
        "logger = QueryLogger(workspace, version_id='v1')\n"
        "for n in range(500):\n"
        "    with logger.request('q') as request: request.answer('a')\n"
    )
    finish(start_python(code))
    assert len(spooled()) == 500


def test_a_child_inherits_no_lock_of_the_thread_that_writes(
    start_python: Start, finish: Finish, spooled: Callable[[], list[object]]
) -> None:
    code = (
        "import os, threading, time\n"
        "from ragdiag import QueryLogger\n"
        "from ragdiag.instrumentation import query_logger\n"
        "lock, begun, build = threading.Lock(), threading.Event(), query_logger.build_request\n"
        "def slow(*given):\n"
        "    with lock:  # as an import holds its module's\n"
        "        begun.set()\n"
        "        time.sleep(0.1)\n"
        "        return build(*given)\n"
        "query_logger.build_request = slow\n"
        "logger = QueryLogger(workspace, version_id='v1')\n"
        "with logger.request('q') as request: request.answer('a')\n"
        "begun.wait()\n"
        "child = os.fork()\n"
        "with logger.request('q') as request: request.answer('a')\n"
        "assert logger.flush(10)\n"
        "if not child: os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
    finish(start_python(code))
    assert len(spooled()) == 3


def test_a_request_that_is_open_when_the_process_forks_is_logged_once(
    start_python: Start, finish: Finish, spooled: Callable[[], list[object]]
) -> None:
    code = (
        "import os\n"
        "from ragdiag import QueryLogger\n"
        "logger = QueryLogger(workspace, version_id='v1')\n"
        "with logger.request('q') as request:\n"
        "    child = os.fork()\n"
        "    request.answer('of the child' if child == 0 else 'of the parent')\n"
        "with logger.request('another'): pass\n"
        "logger.close()\n"
        "if child: os.waitpid(child, 0)\n"
    )
    finish(start_python(code))
    told = sorted((one.question, one.answer) for one in spooled())  # type: ignore[attr-defined]
    assert told == [("another", ""), ("another", ""), ("q", "of the parent")]


def test_a_service_loads_nothing_heavy(start_python: Start, finish: Finish) -> None:
    code = (
        "from ragdiag import QueryLogger, Sampling, carry_request, current_request\n"
        "logger = QueryLogger(workspace, version_id='v1')\n"
        "with logger.request('q', user='ada') as request: request.hits('dense', [('p', 1.0)])\n"
        "assert logger.close()\n"
        "print(*sys.modules)"
    )
    loaded = set(finish(start_python(code)).split())
    assert "ragdiag.instrumentation.query_logger" in loaded
    heavy = "duckdb pyarrow pydantic numpy pandas torch streamlit typer langchain_core llama_index"
    assert not loaded & set(heavy.split())
