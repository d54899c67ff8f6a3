"""Folders of runs: which one a command goes on with, who works on it, what it made."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ragdiag.errors import RunCancelled, TrainingError
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import RunState, TrainingRun, save_run
from ragdiag.training.run_folder import RunFolder, begin_run, run_folder, unfinished_run

CONFIG = {"kind": "retriever", "data": "d1", "options": {"rank": 8}}


@pytest.fixture
def folder(lake: Lake, workspace: Workspace) -> RunFolder:
    return begin_run(lake, workspace, CONFIG)


def test_the_same_command_goes_on_until_what_was_made_is_judged(
    lake: Lake, workspace: Workspace, folder: RunFolder
) -> None:
    assert begin_run(lake, workspace, CONFIG) == folder == run_folder(workspace, folder.run_id)
    assert folder.config.read_text()
    other = begin_run(lake, workspace, {**CONFIG, "options": {"rank": 16}})
    assert other.run_id.split("-")[-1] != folder.run_id.split("-")[-1]
    folder.seal()
    states: tuple[RunState, ...] = ("running", "failed", "cancelled")
    for state in states:
        save_run(lake, TrainingRun(folder.run_id, "retriever", state))
        assert begin_run(lake, workspace, CONFIG) == folder
    save_run(lake, TrainingRun(folder.run_id, "retriever", "done"))
    assert unfinished_run(lake, workspace, CONFIG) is None
    again = begin_run(lake, workspace, CONFIG)
    assert again.run_id > folder.run_id
    assert begin_run(lake, workspace, CONFIG) == again


def test_only_one_process_works_on_a_run(folder: RunFolder) -> None:
    assert not folder.is_running
    with folder.held():
        assert folder.is_running
        with pytest.raises(TrainingError, match=f"running already; .*tune cancel {folder.run_id}"):
            folder.held().__enter__()
    assert not folder.is_running


def test_a_killed_process_gives_the_run_back(folder: RunFolder) -> None:
    script = (
        "import sys, time; from pathlib import Path;"
        "from ragdiag.training.run_folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).held(): print('held', flush=True); time.sleep(60)"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", script, str(folder.root)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "held\n"
        assert folder.is_running
        worker.kill()
    assert not folder.is_running


def test_a_run_stops_when_it_is_asked_to_and_starts_again(folder: RunFolder) -> None:
    told: list[str] = []
    with folder.held():
        progress = folder.stoppable(lambda _, message: told.append(message))
        progress(0.1, "one")
        folder.ask_to_stop()
        with pytest.raises(RunCancelled, match=f"run {folder.run_id} was stopped; the same"):
            progress(0.2, "two")
    with folder.held():
        folder.stoppable(None)(0.3, "three")
    assert told == ["one", "two"]


def test_what_was_made_is_what_it_was(folder: RunFolder) -> None:
    with pytest.raises(TrainingError, match="has made nothing yet"):
        folder.verify()
    (folder.adapter / "deep").mkdir(parents=True)
    (folder.adapter / "deep" / "weights").write_bytes(b"1")
    folder.seal()
    folder.verify()
    (folder.adapter / "deep" / "weights").write_bytes(b"2")
    with pytest.raises(TrainingError, match="weights is not as training run"):
        folder.verify()
    (folder.adapter / "deep" / "weights").write_bytes(b"1")
    (folder.adapter / "more").write_bytes(b"")
    with pytest.raises(TrainingError, match="more is not as"):
        folder.verify()
