"""An import that is stopped or killed goes on where it was; two at once load nothing twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ragdiag.cli import main
from ragdiag.importers.logs.door import BATCH_READINGS
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.lake import close_lakes, open_lake

ROWS = 12_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    said = "a long answer, so that progress is told often. " * 6
    rows = ({"id": f"r{n}", "time": n, "question": "q?", "answer": said} for n in range(ROWS))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def start(workspace: Workspace, log: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ragdiag", "--workspace", str(workspace.root)]
    return subprocess.Popen(
        [*command, "import", "logs", str(log), "--json"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stored(workspace: Workspace) -> tuple[int, int]:
    """Requests, and distinct ids among them."""
    lake = open_lake(workspace)
    (row,) = lake.rows("select count(*) as n, count(distinct request_id) as ids from requests")
    close_lakes()
    return row["n"], row["ids"]


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_the_same_command_goes_on(
    workspace: Workspace, log: Path, blow: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    with start(workspace, log) as process:
        assert process.stderr is not None
        for line in process.stderr:
            told = re.search(r"([0-9,]+) rows, about", line)
            if told and int(told[1].replace(",", "")) > BATCH_READINGS:  # one batch is loaded
                os.kill(process.pid, blow)
                break
        rest = process.stderr.read()
    assert process.returncode in (130, -signal.SIGKILL)
    before, _ = stored(workspace)
    assert BATCH_READINGS <= before < ROWS
    if blow == signal.SIGINT:
        assert "run the same command again to go on" in rest
        assert "Traceback" not in rest
    status = main(["--workspace", str(workspace.root), "import", "logs", str(log), "--json"])
    assert status == 0
    counts = json.loads(capsys.readouterr().out)["kinds"]["request"]
    assert counts["new"] + counts["repeated"] == ROWS
    assert stored(workspace) == (ROWS, ROWS)


@pytest.mark.slow
def test_two_imports_of_one_file_at_once(workspace: Workspace, log: Path) -> None:
    open_lake(workspace, create=True)
    close_lakes()
    both = [start(workspace, log) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        assert json.loads(out)["rejected"] == 0
    assert stored(workspace) == (ROWS, ROWS)
    assert not list(workspace.spool.glob("*.jsonl"))
