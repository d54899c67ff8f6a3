"""Long commands that the dashboard starts, and how far they are.

A job is a ``python -m ragdiag`` process of its own session, so it survives the page and the
dashboard; its progress file in the workspace's ``jobs`` folder is all that a page knows of it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ragdiag.jobs import STOPPED, JobProgress, read_progress, write_progress
from ragdiag.settings import (
    PROJECT,
    WORKSPACE_VARIABLE,
    Workspace,
    command_workspace,
    demo_workspace,
)

INDEX, TUNE, INFLUENCE = "index", "tune", "influence"
"""The jobs of the commands of these names. Pages go on beside them; every other job makes
the workspace that they read, so they wait for it."""

_children: dict[Path, subprocess.Popen[bytes]] = {}
"""Jobs this process started; polling them is what lets a dead one be seen as dead."""


@dataclass(frozen=True, slots=True)
class Job:
    """One started command: ``name`` is ``demo``, ``import``, ``index``, ``tune`` or ``influence``,
    ``path`` its progress file."""

    name: str
    path: Path
    progress: JobProgress

    @property
    def log(self) -> Path:
        return self.path.with_suffix(".log")

    @property
    def elapsed_s(self) -> float:
        started = datetime.fromisoformat(self.progress.started_at)
        return max((datetime.now(UTC) - started).total_seconds(), 0.0)


def demo_target() -> Workspace:
    """Where "Build the demo" builds: the workspace that was named, else ``data/demo``."""
    return command_workspace() if os.environ.get(WORKSPACE_VARIABLE) else demo_workspace()


def start_demo() -> None:
    """Build the full demo in the background."""
    _start(demo_target(), "demo", ["demo", "--size", "full"])


def start_import(path: Path) -> None:
    """Import a BEIR folder, or a corpus file or folder, into the user's own workspace."""
    kind = "beir" if (path / "corpus.jsonl").is_file() else "corpus"
    _start(command_workspace(), "import", ["import", kind, str(path)])


def start_index(workspace: Workspace, arguments: Sequence[str]) -> bool:
    """Run ``ragdiag index ARGUMENTS``; False, and nothing is started, where one runs already."""
    return _start_beside(workspace, INDEX, arguments)


def start_tune(workspace: Workspace, arguments: Sequence[str]) -> bool:
    """Run ``ragdiag tune ARGUMENTS``; False, and nothing is started, where one runs already."""
    return _start_beside(workspace, TUNE, arguments)


def start_influence(workspace: Workspace, arguments: Sequence[str]) -> bool:
    """Run ``ragdiag influence ARGUMENTS``; False where one runs already."""
    return _start_beside(workspace, INFLUENCE, arguments)


def index_job(workspace: Workspace) -> Job | None:
    """The last ``index`` command that was started here, however it stands."""
    return _job_in(workspace, INDEX)


def tune_job(workspace: Workspace) -> Job | None:
    """The last ``tune`` command that was started here, however it stands."""
    return _job_in(workspace, TUNE)


def influence_job(workspace: Workspace) -> Job | None:
    """The last ``influence`` command that was started here, however it stands."""
    return _job_in(workspace, INFLUENCE)


def cancel(job: Job) -> bool:
    """Ask a running job and all that it started to end; False where there is nothing to ask.

    It writes down itself that it was stopped, and the same command goes on with its work. SIGTERM,
    since a server that a shell put into the background has its children ignore SIGINT.
    """
    pid = job.progress.pid
    if job.progress.state != "running" or not _is_alive(job.path, pid):
        return False
    try:
        if os.getpgid(pid) != pid:  # started by hand, in a group with what is not ours
            return False
        os.killpg(pid, signal.SIGTERM)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def latest_job() -> Job | None:
    """The job that every page should tell about: the one that runs, else the last that failed or
    was cancelled.

    A job that finished well has nothing left to tell.
    """
    folders = {demo_target().jobs, command_workspace().jobs, demo_workspace().jobs}
    beside = (INDEX, TUNE, INFLUENCE)
    found = [job for folder in folders for job in _jobs_in(folder) if job.name not in beside]
    for states in (("running",), ("failed", "cancelled")):
        same = [job for job in found if job.progress.state in states]
        if same:
            return max(same, key=lambda job: job.progress.started_at)
    return None


def forget(job: Job) -> None:
    """Remove a finished job's progress file, so that no page tells of it again."""
    job.path.unlink(missing_ok=True)


def _start_beside(workspace: Workspace, name: str, arguments: Sequence[str]) -> bool:
    job = _job_in(workspace, name)
    if job is not None and job.progress.state == "running":
        return False
    _start(workspace, name, [name, *arguments])
    return True


def _job_in(workspace: Workspace, name: str) -> Job | None:
    return next((job for job in _jobs_in(workspace.jobs) if job.name == name), None)


def _jobs_in(folder: Path) -> list[Job]:
    jobs = []
    for path in sorted(folder.glob("*.json")):
        progress = read_progress(path)
        if progress is not None:
            jobs.append(Job(path.stem, path, _as_it_is(path, progress)))
    return jobs


def _as_it_is(path: Path, progress: JobProgress) -> JobProgress:
    """A file that says ``running`` though its process is gone is a failure, unless the process
    was stopped before it could write that down."""
    if progress.state != "running" or _is_alive(path, progress.pid):
        return progress
    last = read_progress(path)  # it may have ended well between the two looks
    if last is not None and last.state != "running":
        return last
    child = _children.get(path)
    if child is not None and child.returncode == -signal.SIGTERM:
        return replace(progress, state="cancelled", error=STOPPED)
    return replace(progress, state="failed", error=last_words(path.with_suffix(".log")))


def _is_alive(path: Path, pid: int) -> bool:
    child = _children.get(path)
    if child is not None and child.pid == pid:
        return child.poll() is None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _is_ours(pid)


def _is_ours(pid: int) -> bool:
    """Whether the process is a ragdiag command, not a later one that was given the same id."""
    try:
        return b"ragdiag" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def last_words(log: Path) -> str:
    """The command's own error line; without one, that it was killed, and where it was."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    said = [line.strip() for line in lines if line.strip()]
    error = next((line for line in reversed(said) if line.startswith("ragdiag: ")), None)
    if error is not None:
        return error.removeprefix("ragdiag: ")
    where = f"; it last said: {said[-1]}" if said else ""
    return f"the process was ended before it was done{where}"


def _start(workspace: Workspace, name: str, command: Sequence[str]) -> None:
    """Start ``ragdiag COMMAND`` detached; its progress file exists when this returns."""
    path = workspace.jobs / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    arguments = [sys.executable, "-m", "ragdiag", "--workspace", str(workspace.root), *command]
    with path.with_suffix(".log").open("wb") as log:
        child = subprocess.Popen(
            [*arguments, "--progress-file", str(path)],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[path] = child
    if read_progress(path) is None:  # the command writes its own once Python has started
        started = datetime.now(UTC).isoformat(timespec="seconds")
        write_progress(path, JobProgress("running", 0.0, "starting", child.pid, started))
