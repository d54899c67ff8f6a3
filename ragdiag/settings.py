"""Where a workspace keeps its parts, and which workspace a process opens."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
DATA = PROJECT / "data"
WORKSPACE_VARIABLE = "RAGDIAG_WORKSPACE"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The paths of one workspace; nothing is created by asking for a path."""

    root: Path

    @property
    def configuration(self) -> Path:
        return self.root / "ragdiag.toml"

    @property
    def catalog(self) -> Path:
        return self.root / "lake" / "catalog.sqlite"

    @property
    def lake_data(self) -> Path:
        return self.root / "lake" / "data"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def indexes(self) -> Path:
        return self.root / "indexes"

    @property
    def embeddings(self) -> Path:
        return self.root / "cache" / "embeddings"

    @property
    def judge_cache(self) -> Path:
        """What language models as judges have decided, by the hash of what they were asked."""
        return self.root / "cache" / "judge"

    @property
    def training(self) -> Path:
        """A folder for every fine-tuning run: its data, its checkpoint, what came of it."""
        return self.root / "training"

    @property
    def jobs(self) -> Path:
        """Progress files of long commands that the dashboard started."""
        return self.root / "jobs"

    @property
    def losses(self) -> Path:
        """What services could not log, counted: one small file a process."""
        return self.root / "losses"

    @property
    def demo_marker(self) -> Path:
        """Marks a workspace as a demo: what is simulated there, as the builder wrote it."""
        return self.root / "demo.json"

    @property
    def exists(self) -> bool:
        """Whether it was created or configured; what a configured server holds, only it knows."""
        return self.catalog.is_file() or self.configuration.is_file()


def command_workspace(option: Path | None = None) -> Workspace:
    """What a command works on: the option, else $RAGDIAG_WORKSPACE, else data/workspace."""
    named = option or os.environ.get(WORKSPACE_VARIABLE) or DATA / "workspace"
    return Workspace(Path(named).expanduser().resolve())


def dashboard_workspace() -> Workspace:
    """As :func:`command_workspace`, but the demo where nothing is named and it alone exists."""
    chosen = command_workspace()
    demo = demo_workspace()
    named = bool(os.environ.get(WORKSPACE_VARIABLE))
    return demo if not named and not chosen.exists and demo.exists else chosen


def demo_workspace() -> Workspace:
    return Workspace(DATA / "demo")
