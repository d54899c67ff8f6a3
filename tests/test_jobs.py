"""Progress files: whole or not there, throttled, and honest about how a command ended."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ragdiag.errors import InputError
from ragdiag.jobs import ProgressFile, read_progress


def test_a_command_that_ends_well_is_done(tmp_path: Path) -> None:
    path = tmp_path / "jobs" / "demo.json"
    with ProgressFile(path) as progress:
        assert read_progress(path).state == "running"
        progress(0.4, "indexing")
    told = json.loads(path.read_text())
    assert set(told) == {"state", "fraction", "message", "pid", "started_at", "error"}
    assert (told["state"], told["fraction"], told["message"]) == ("done", 1.0, "indexing")
    assert told["pid"] == os.getpid()


def test_a_failure_keeps_its_line_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "import.json"

    def command() -> None:
        with ProgressFile(path) as progress:
            progress(0.5, "reading")
            raise InputError("corpus.jsonl is empty", remedy="name another")

    with pytest.raises(InputError):
        command()
    told = read_progress(path)
    assert (told.state, told.fraction) == ("failed", 0.5)
    assert told.error == "corpus.jsonl is empty; name another"


def test_writes_are_throttled_but_the_last_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    seen = set()
    with ProgressFile(path) as progress:
        for step in range(200):
            progress(step / 200, f"step {step}")
            seen.add(read_progress(path).message)
    assert len(seen) < 20
    assert read_progress(path).message == "step 199"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": "running"}'])
def test_what_is_no_progress_file_reads_as_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "demo.json"
    path.write_text(content)
    assert read_progress(path) is None
    assert read_progress(tmp_path / "absent.json") is None
