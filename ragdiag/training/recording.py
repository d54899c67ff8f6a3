"""A run written into the registry as it goes: that it runs, what is known of it, how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from ragdiag.errors import RagdiagError, RunCancelled
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import RunKind, RunState, TrainingRun, save_run
from ragdiag.training.run_folder import RunFolder, run_folder
from ragdiag.training.runs import RunFacts

Standing = Literal["running", "done", "failed", "cancelled", "ended"]
"""As the registry has it; ``ended`` is a run that was running when its process went away."""


class Recording:
    """What is known of one run: each :meth:`say` is kept at once."""

    def __init__(self, lake: Lake, run_id: str, kind: RunKind, facts: RunFacts) -> None:
        self._lake, self._run_id, self._kind, self.facts = lake, run_id, kind, facts
        self._save("running")

    def say(self, **known: Any) -> None:
        """More of the fields of RunFacts."""
        self.facts = replace(self.facts, **known)
        self._save("running")

    def end(self, state: RunState, error: str | None = None) -> None:
        self.facts = replace(self.facts, error=error)
        self._save(state)

    def _save(self, state: RunState) -> None:
        save_run(self._lake, TrainingRun(self._run_id, self._kind, state, self.facts.to_json()))


@contextmanager
def recorded(lake: Lake, folder: RunFolder, kind: RunKind, facts: RunFacts) -> Iterator[Recording]:
    """Hold the run while it is worked on and write down how it ended; errors pass through.

    Raises TrainingError where another process works on it.
    """
    with folder.held():
        recording = Recording(lake, folder.run_id, kind, facts)
        try:
            yield recording
        except (RunCancelled, KeyboardInterrupt):
            recording.end("cancelled")
            raise
        except RagdiagError as error:
            recording.end("failed", str(error))
            raise
        except Exception as error:
            recording.end("failed", f"{type(error).__name__}: {error}")
            raise
        recording.end("done")


def standing_of(workspace: Workspace, run: TrainingRun) -> Standing:
    """How a run stands, its process looked for."""
    if run.state == "running" and not run_folder(workspace, run.run_id).is_running:
        return "ended"
    return run.state
