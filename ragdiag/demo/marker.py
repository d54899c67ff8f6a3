"""What a demo's folder says about itself, beside its store.

``demo-plan.json`` is written when a build begins (size, first Monday), so that one that was stopped
goes on with the same dates. ``demo.json`` is written when it is finished, and marks the workspace
as a demo: what is simulated, what each week served, and what was broken on purpose.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ragdiag.demo.material import Size
from ragdiag.demo.traffic import first_monday
from ragdiag.errors import InputError, NoWorkspace
from ragdiag.settings import Workspace
from ragdiag.store.lake import open_lake

PLAN = "demo-plan.json"


@dataclass(frozen=True)
class DemoReport:
    """What was built. ``weeks`` are their Mondays, versions and requests; ``faults`` name week,
    kind and what was broken."""

    size: Size
    simulated: str
    weeks: tuple[Mapping[str, Any], ...]
    faults: tuple[Mapping[str, Any], ...]
    counts: Mapping[str, int]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "weeks": list(self.weeks), "faults": list(self.faults)}


def planned_monday(workspace: Workspace, size: Size) -> date:
    """The Monday of week 1 of the build in this workspace; a new build is noted down.

    Raises InputError where the workspace holds something else, or a demo of another size.
    """
    path = workspace.root / PLAN
    if path.is_file():
        plan = json.loads(path.read_text(encoding="utf-8"))
        if plan["size"] != size:
            raise InputError(
                f"{workspace.root} holds the {plan['size']} demo",
                remedy="remove that folder, or name another with --workspace",
            )
        return date.fromisoformat(plan["first_monday"])
    if _holds_lake(workspace):
        raise InputError(
            f"{workspace.root} holds a workspace that is no demo",
            remedy="name another folder with --workspace",
        )
    monday = first_monday(datetime.now(UTC).date())
    _write_whole(path, {"size": size, "first_monday": str(monday)})
    return monday


def read_marker(workspace: Workspace) -> DemoReport | None:
    """What was built here; None where the build has not been finished."""
    path = workspace.demo_marker
    return DemoReport(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def write_marker(workspace: Workspace, built: DemoReport) -> None:
    _write_whole(workspace.demo_marker, built.to_json())


def _holds_lake(workspace: Workspace) -> bool:
    """A configured workspace may have no lake yet; only its catalog knows."""
    try:
        open_lake(workspace)
    except NoWorkspace:
        return False
    return True


def _write_whole(path: Path, document: Mapping[str, Any]) -> None:
    """Appear with all of it or not at all."""
    working = path.with_suffix(".part")
    working.write_text(json.dumps(document, indent=1), encoding="utf-8")
    os.replace(working, path)
