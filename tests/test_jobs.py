"""Progress files: whole or not there, throttled, and honest about how a command ended."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ragdiag.errors import InputError, RunCancelled
from ragdiag.jobs import STOPPED, ProgressFile, read_progress


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


@pytest.mark.parametrize(
    ("stopped", "said"),
    [
        (KeyboardInterrupt(), STOPPED),
        (RunCancelled("run r1 was stopped", remedy="the same command goes on"), "r1 was stopped; "),
    ],
)
def test_a_stop_that_was_asked_for_is_no_failure(
    tmp_path: Path, stopped: BaseException, said: str
) -> None:
    path = tmp_path / "tune.json"

    def command() -> None:
        with ProgressFile(path) as progress:
            progress(0.5, "step 5 of 10")
            raise stopped

    with pytest.raises(type(stopped)):
        command()
    told = read_progress(path)
    assert (told.state, told.message) == ("cancelled", "step 5 of 10")
    assert said in told.error


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
