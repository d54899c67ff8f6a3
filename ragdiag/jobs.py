"""How a long command tells another process how far it is: one small JSON file, replaced whole.

The file holds ``{"state", "fraction", "message", "pid", "started_at", "error"}``; ``state`` is
``running``, ``done``, ``failed`` or ``cancelled`` (somebody stopped it), ``started_at`` ISO 8601
UTC, ``error`` one line that says why it was not done, or null.
A reader never sees half a file (``os.replace``), and a ``running`` file whose process is gone
means that the command was killed.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from ragdiag.errors import RagdiagError, RunCancelled

JobState = Literal["running", "done", "failed", "cancelled"]
WRITES_PER_SECOND = 5
STOPPED = "stopped by the user; the same command goes on: finished parts are kept"


@dataclass(frozen=True, slots=True)
class JobProgress:
    """What a progress file says. ``fraction`` is 0 … 1."""

    state: JobState
    fraction: float
    message: str
    pid: int
    started_at: str
    error: str | None = None


class ProgressFile:
    """A ``Progress`` that writes to ``path``, and a context manager that records how it ended.

    Writes are throttled to five a second; the first and the last always reach the file. The
    parent folder is created. An exception inside the block makes the state ``failed``, or
    ``cancelled`` where it is a stop that was asked for, with its own line, and goes on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last_write = -1.0
        self._now = JobProgress(
            state="running",
            fraction=0.0,
            message="starting",
            pid=os.getpid(),
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def __call__(self, fraction: float, message: str) -> None:
        self._now = replace(self._now, fraction=min(max(fraction, 0.0), 1.0), message=message)
        if time.monotonic() - self._last_write >= 1 / WRITES_PER_SECOND:
            self._write()

    def __enter__(self) -> Self:
        self._write()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._now = replace(self._now, state="done", fraction=1.0)
        else:
            stopped = isinstance(error, KeyboardInterrupt | RunCancelled)
            state: JobState = "cancelled" if stopped else "failed"
            self._now = replace(self._now, state=state, error=_one_line(error))
        self._write()

    def _write(self) -> None:
        write_progress(self._path, self._now)
        self._last_write = time.monotonic()


def write_progress(path: Path, progress: JobProgress) -> None:
    """Replace ``path`` in one step; readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(progress)), encoding="utf-8")
    os.replace(draft, path)


def read_progress(path: Path) -> JobProgress | None:
    """What the file says, or None where there is none or it is not a progress file."""
    try:
        return JobProgress(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _one_line(error: BaseException) -> str:
    if isinstance(error, RagdiagError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return STOPPED
    return " ".join(f"{type(error).__name__}: {error}".split())
