"""The folder of one run: its id, the paths of what it keeps, and whether it is running.

Whoever trains holds the folder's lock, which the system gives back when the process is gone. So a
run that the registry calls running and that nobody holds was ended before it was done, and the
same command goes on with it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ragdiag.errors import RunCancelled, StoreBusy, TrainingError
from ragdiag.progress import Progress, report
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.locks import is_locked, locked
from ragdiag.store.training_runs import list_runs
from ragdiag.training.files import replace_file
from ragdiag.training.processes import Processes

PATIENCE_S = 1.0
"""Longer than anybody who only looks holds the lock."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder; nothing is created by asking for a path."""

    root: Path

    @property
    def run_id(self) -> str:
        return self.root.name

    @property
    def config(self) -> Path:
        return self.root / "config.json"

    @property
    def adapter(self) -> Path:
        return self.root / "adapter"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def artefacts(self) -> Path:
        """The SHA-256 of every file that was made; written last, so that what is there is whole."""
        return self.root / "artefacts.json"

    @property
    def spent(self) -> Path:
        """What all stretches of the run have cost so far."""
        return self.root / "spent.json"

    @property
    def is_running(self) -> bool:
        """Whether a process works on it now."""
        return is_locked(self._lock)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Work on it; of several processes that train together, the first alone. What was asked of
        an earlier process no longer counts. Raises TrainingError where another one does."""
        self.root.mkdir(parents=True, exist_ok=True)
        with ExitStack() as holding:
            try:
                holding.enter_context(locked(self._lock, time.monotonic() + PATIENCE_S))
            except StoreBusy:
                raise TrainingError(
                    f"training run {self.run_id} is running already",
                    remedy=f"wait, or stop it: ragdiag tune cancel {self.run_id}",
                ) from None
            self._stop.unlink(missing_ok=True)
            yield

    def ask_to_stop(self) -> None:
        """Let the process that works on it end at its next report, its last step kept."""
        self._stop.touch()

    def stoppable(self, progress: Progress | None) -> Progress:
        """``progress`` that raises RunCancelled once the run was asked to stop."""

        def told(fraction: float, message: str) -> None:
            report(progress, fraction, message)
            if self._stop.exists():
                raise RunCancelled(
                    f"training run {self.run_id} was stopped", remedy="the same command goes on"
                )

        return told

    def seal(self) -> None:
        """Write down the hash of every file of the adapter and the model. Raises StoreFull."""
        text = json.dumps(self._hashes(), indent=2, sort_keys=True)
        replace_file(self.artefacts, lambda file: file.write(text.encode()))

    def verify(self) -> None:
        """Raises TrainingError that names the first file which is not as it was made."""
        try:
            made = json.loads(self.artefacts.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise TrainingError(
                f"training run {self.run_id} has made nothing yet",
                remedy="the same command goes on with it",
            ) from None
        found = self._hashes()
        for name in sorted({*made, *found}):
            if made.get(name) != found.get(name):
                raise TrainingError(
                    f"{self.root / name} is not as training run {self.run_id} made it",
                    remedy="restore the file, or train again",
                )

    def _hashes(self) -> dict[str, str]:
        found = {}
        for folder in (self.adapter, self.model):
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    with path.open("rb") as file:
                        digest = hashlib.file_digest(file, "sha256").hexdigest()
                    found[path.relative_to(self.root).as_posix()] = digest
        return found

    @property
    def _lock(self) -> Path:
        return self.root / "run.lock"

    @property
    def _stop(self) -> Path:
        return self.root / "stop"


def unfinished_run(lake: Lake, workspace: Workspace, config: Mapping[str, Any]) -> RunFolder | None:
    """The newest run of this ``config`` that the registry does not call done: it may have been
    trained already, but not judged."""
    done = {run.run_id for run in list_runs(lake) if run.state == "done"}
    for root in sorted(workspace.training.glob(f"*-{_digest(config)}"), reverse=True):
        if root.name not in done:
            return RunFolder(root)
    return None


def begin_run(lake: Lake, workspace: Workspace, config: Mapping[str, Any]) -> RunFolder:
    """The :func:`unfinished_run` of this ``config``, to go on with, else a new one.

    ``config`` is plain JSON that names all that shapes the result: kind, version, options, the
    hashes of data and base. The id is the time and the first letters of its hash. Raises StoreFull.
    """
    found = unfinished_run(lake, workspace, config)
    if found is not None:
        return found
    text, digest = _text(config), _digest(config)
    now = datetime.now(UTC)
    while (root := workspace.training / f"{now:%Y%m%d-%H%M%S}-{digest}").exists():
        now += timedelta(seconds=1)
    folder = RunFolder(root)
    replace_file(folder.config, lambda file: file.write(text.encode()))
    return folder


def shared_run(
    lake: Lake, workspace: Workspace, config: Mapping[str, Any]
) -> tuple[RunFolder, bool]:
    """As :func:`begin_run`, one folder for all processes that train together; and whether this is
    the first of them, which alone writes what is said of the run."""
    processes = Processes()
    if not processes.is_first:
        return RunFolder(Path(processes.shared(""))), False
    folder = begin_run(lake, workspace, config)
    processes.shared(str(folder.root))
    return folder, True


def run_folder(workspace: Workspace, run_id: str) -> RunFolder:
    return RunFolder(workspace.training / run_id)


def _text(config: Mapping[str, Any]) -> str:
    return json.dumps(config, sort_keys=True)


def _digest(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(config).encode()).hexdigest()[:8]
