"""The runbooks of data/runbooks: what to do when an alert is raised, one Markdown file each."""

from __future__ import annotations

from pathlib import Path

from ragdiag.errors import UnknownName
from ragdiag.settings import DATA, PROJECT

FOLDER = DATA / "runbooks"


def runbook_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.md"))


def runbook_path(name: str) -> Path:
    """Where it lies, from the project's folder on; it need not be there."""
    return (FOLDER / f"{name}.md").relative_to(PROJECT)


def read_runbook(name: str) -> str:
    """Its Markdown. Raises UnknownName, listing those there are."""
    if name not in runbook_names():
        raise UnknownName(
            f"there is no runbook {name!r}", remedy=f"name one of: {', '.join(runbook_names())}"
        )
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")
