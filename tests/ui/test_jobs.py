"""Jobs that the dashboard starts: seen while they run, and when they die without a word."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragdiag.jobs import STOPPED, JobProgress, write_progress
from ragdiag.settings import WORKSPACE_VARIABLE, Workspace
from ragdiag.ui import jobs


@pytest.fixture
def named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A named workspace, with its folder standing for the demo's as well."""
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(workspace.root))
    monkeypatch.setattr(jobs, "demo_workspace", lambda: workspace)
    return workspace


def told(state: str, pid: int, error: str | None = None) -> JobProgress:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return JobProgress(state, 0.3, "indexing", pid, now, error)  # type: ignore[arg-type]


def gone_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_without_jobs_there_is_nothing_to_tell(named: Workspace) -> None:
    assert jobs.latest_job() is None


def test_a_running_job_is_found_again(named: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_is_ours", lambda pid: True)
    write_progress(named.jobs / "demo.json", told("running", os.getpid()))
    job = jobs.latest_job()
    assert job is not None
    assert (job.name, job.progress.state, job.progress.fraction) == ("demo", "running", 0.3)
    assert job.elapsed_s < 60


def test_a_dead_process_is_a_failure_with_its_last_words(named: Workspace) -> None:
    write_progress(named.jobs / "demo.json", told("running", gone_pid()))
    (named.jobs / "demo.log").write_text("10 %\nragdiag: no space left; free some\n\n")
    job = jobs.latest_job()
    assert job is not None
    assert job.progress.state == "failed"
    assert job.progress.error == "no space left; free some"
    (named.jobs / "demo.log").write_text(" 10%  indexing\n")
    killed = jobs.latest_job()
    assert killed is not None
    assert killed.progress.error == (
        "the process was ended before it was done; it last said: 10%  indexing"
    )
    jobs.forget(job)
    assert jobs.latest_job() is None


def test_a_reused_process_id_is_not_mistaken_for_the_job(named: Workspace) -> None:
    write_progress(named.jobs / "demo.json", told("running", 1))
    job = jobs.latest_job()
    assert job is not None
    assert job.progress.state == "failed"


def test_a_job_that_ended_well_has_nothing_to_tell(named: Workspace) -> None:
    write_progress(named.jobs / "demo.json", told("done", gone_pid()))
    assert jobs.latest_job() is None


def test_a_started_command_that_fails_is_seen_to_fail(named: Workspace, tmp_path: Path) -> None:
    """A real command: an import of a file that is not there."""
    jobs.start_import(tmp_path / "nothing.jsonl")
    assert (named.jobs / "import.json").is_file()
    deadline = time.monotonic() + 60
    while (job := jobs.latest_job()) is not None and job.progress.state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert job is not None
    assert job.progress.state == "failed"
    assert "nothing" in (job.progress.error or "")


def test_an_index_command_is_told_by_its_own_page_alone(named: Workspace) -> None:
    write_progress(named.jobs / "index.json", told("failed", gone_pid(), "no such build"))
    assert jobs.latest_job() is None
    job = jobs.index_job(named)
    assert job is not None
    assert job.progress.error == "no such build"


def test_an_influence_command_is_told_by_its_own_page_alone(named: Workspace) -> None:
    write_progress(named.jobs / "influence.json", told("running", os.getpid()))
    assert jobs.latest_job() is None
    assert jobs.influence_job(named) is not None
    write_progress(named.jobs / "influence.json", told("failed", gone_pid(), "no such request"))
    job = jobs.influence_job(named)
    assert job is not None
    assert job.progress.error == "no such request"


def test_one_index_command_runs_at_a_time(
    named: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_is_ours", lambda pid: True)
    write_progress(named.jobs / "index.json", told("running", os.getpid()))
    assert not jobs.start_index(named, ["check", "v"])
    write_progress(named.jobs / "index.json", told("done", gone_pid()))
    assert jobs.start_index(named, ["check", "v"])
    job = jobs.index_job(named)
    assert job is not None
    jobs._children[job.path].wait(timeout=60)


def test_a_cancelled_command_says_so_and_ends_with_its_children(named: Workspace) -> None:
    """A real command that takes long; a tune command is told by its own page alone."""
    jobs._start(named, "tune", ["demo", "--size", "small"])
    deadline = time.monotonic() + 60
    while (job := jobs.tune_job(named)) is not None and job.progress.fraction == 0.0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert job is not None
    assert not jobs.start_tune(named, ["list"])
    assert jobs.cancel(job)
    jobs._children[job.path].wait(timeout=60)
    ended = jobs.tune_job(named)
    assert ended is not None
    assert ended.progress.state == "cancelled"
    assert ended.progress.error == STOPPED
    assert not jobs.cancel(ended)
    assert jobs.latest_job() is None


def test_one_that_is_stopped_before_it_could_write_that_down_is_cancelled(
    named: Workspace,
) -> None:
    path = named.jobs / "tune.json"
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    jobs._children[path] = child
    write_progress(path, told("running", child.pid))
    child.terminate()
    child.wait()
    job = jobs.tune_job(named)
    assert job is not None
    assert (job.progress.state, job.progress.error) == ("cancelled", STOPPED)
    del jobs._children[path]


def test_only_a_job_of_its_own_group_is_cancelled(
    named: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that a shell runs in a pipe shares its group with what is not ours."""
    monkeypatch.setattr(jobs, "_is_ours", lambda pid: True)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        write_progress(named.jobs / "tune.json", told("running", child.pid))
        job = jobs.tune_job(named)
        assert job is not None
        assert not jobs.cancel(job)
        assert child.poll() is None
        child.communicate(b"\n")
