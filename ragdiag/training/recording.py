"""A run written into the registry as it goes: that it runs, what is known of it, how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from ragdiag.errors import RagdiagError, RunCancelled
from ragdiag.progress import Progress
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import RunKind, RunState, TrainingRun, save_run
from ragdiag.training.costs import KEEP_S, Clock, cost_of
from ragdiag.training.loop import Trained
from ragdiag.training.run_folder import RunFolder, run_folder
from ragdiag.training.runs import RunFacts

Standing = Literal["running", "done", "failed", "cancelled", "ended"]
"""As the registry has it; ``ended`` is a run that was running when its process went away."""


class Recording:
    """What is known of one run: each :meth:`say` is kept at once, with what it has cost so far."""

    def __init__(
        self, lake: Lake, folder: RunFolder, kind: RunKind, facts: RunFacts, clock: Clock
    ) -> None:
        self._lake, self._folder, self._kind = lake, folder, kind
        self._clock, self.facts = clock, facts
        self._trained: Trained | None = None
        clock.go_on(folder.spent)
        self._save("running")

    def say(self, *, trained: Trained | None = None, **known: Any) -> None:
        """More of the fields of RunFacts; how training went, once it has ended."""
        self._trained = trained or self._trained
        self.facts = replace(self.facts, **known)
        self._save("running")

    def end(self, state: RunState, error: str | None = None) -> None:
        self.facts = replace(self.facts, error=error)
        self._save(state)

    def told(self, progress: Progress | None) -> Progress:
        """``progress`` that raises RunCancelled once the run was asked to stop, and keeps what was
        spent for the command that goes on, should this process be killed."""
        stoppable = self._folder.stoppable(progress)

        def told(fraction: float, message: str) -> None:
            self._clock.keep(KEEP_S)
            stoppable(fraction, message)

        return told

    def _save(self, state: RunState) -> None:
        self._clock.keep()
        self.facts = replace(self.facts, cost=cost_of(self._clock.spent, self._trained))
        facts = self.facts.to_json()
        save_run(self._lake, TrainingRun(self._folder.run_id, self._kind, state, facts))


@contextmanager
def recorded(
    lake: Lake,
    folder: RunFolder,
    kind: RunKind,
    facts: RunFacts,
    clock: Clock | None = None,
) -> Iterator[Recording]:
    """Hold the run while it is worked on and write down how it ended; errors pass through.

    ``clock`` runs since the command began; without one its time counts from here. Raises
    TrainingError where another process works on it.
    """
    with folder.held():
        recording = Recording(lake, folder, kind, facts, clock or Clock())
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
