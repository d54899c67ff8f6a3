"""Which index build serves: one small file an index key, replaced whole, with its whole history.

    indexes/serving/<index_key>.json    {"format": 1, "index_key", "publications": [first … last]}

The build of the newest publication serves; none at all means that nothing has been published yet.
A workspace from before publications has no such file, and its newest build serves. Builds never
change, so who has loaded one finishes on it, whatever is published meanwhile. deploy/publish.py
writes these files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from ragdiag.errors import IndexFault, UnknownName
from ragdiag.retrieval.manifest import MANIFEST
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import latest_build, list_versions
from ragdiag.version import Version

Action = Literal["found", "publish", "rollback"]


@dataclass(frozen=True, slots=True)
class Publication:
    """From ``published_at`` on ``build_id`` served. ``by`` is the command or page that saw to it;
    ``checks`` are the findings it was published with, name → status.

    ``found``: it served already when the history began.
    """

    build_id: str
    published_at: datetime
    action: Action
    by: str
    reason: str = ""
    checks: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "build_id": self.build_id,
            "published_at": self.published_at.isoformat(),
            "action": self.action,
            "by": self.by,
            "reason": self.reason,
            "checks": dict(self.checks),
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        return cls(**{**row, "published_at": datetime.fromisoformat(row["published_at"])})


def pointer_path(workspace: Workspace, index_key: str) -> Path:
    return workspace.indexes / "serving" / f"{index_key}.json"


def read_publications(
    workspace: Workspace, index_key: str, name: str = "VERSION"
) -> tuple[Publication, ...] | None:
    """Every publication, oldest first; None where the history has not begun.

    Raises IndexFault where the file cannot be read; its remedy publishes a version of that
    ``name``.
    """
    path = pointer_path(workspace, index_key)
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Publication.from_json(row) for row in held["publications"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise IndexFault(
            f"cannot read {path}, which says what serves",
            remedy=f"move it away and publish again: ragdiag index publish {name}",
        ) from None


def standing(publications: Sequence[Publication]) -> list[Publication]:
    """The publications that no rollback has taken back, oldest first: the last one serves, and a
    rollback goes to the one before it.

    >>> at = datetime(2026, 1, 5)
    >>> done = [Publication("a", at, "publish", "t"), Publication("b", at, "publish", "t")]
    >>> [one.build_id for one in standing([*done, Publication("a", at, "rollback", "t")])]
    ['a']
    """
    kept: list[Publication] = []
    for one in publications:
        if one.action == "rollback":
            kept.pop()
        elif not kept or kept[-1].build_id != one.build_id:
            kept.append(one)
    return kept


def serving_build_id(
    lake: Lake, workspace: Workspace, index_key: str, name: str = "VERSION"
) -> str | None:
    """The build that serves this index key; None where there is none. Raises IndexFault, as
    :func:`read_publications`."""
    publications = read_publications(workspace, index_key, name)
    if publications is not None:
        return publications[-1].build_id if publications else None
    newest = latest_build(lake, index_key)
    return None if newest is None else newest.build_id


def require_serving(lake: Lake, workspace: Workspace, version: Version) -> str:
    """The build that serves ``version``. Raises UnknownName where there is none, saying whether to
    build or to publish."""
    index_key = version.spec.index_key
    serving = serving_build_id(lake, workspace, index_key, version.name)
    if serving is not None:
        return serving
    if latest_build(lake, index_key) is None:
        raise UnknownName(
            f"version {version.name} has no index build",
            remedy=f"run: ragdiag index build {version.name}",
        )
    raise UnknownName(
        f"no index build of version {version.name} has been published",
        remedy=f"run: ragdiag index publish {version.name}",
    )


def versions_by_index(lake: Lake) -> dict[str, list[Version]]:
    """Index key → the versions that one build serves, oldest first."""
    found: dict[str, list[Version]] = {}
    for version in list_versions(lake):
        found.setdefault(version.spec.index_key, []).append(version)
    return found


@contextmanager
def serving_faults(workspace: Workspace, version: Version) -> Iterator[None]:
    """Give an IndexFault of the build that serves ``version`` its ways out: building it again, and
    a rollback where an earlier build is still on disk. Which build that is is asked before:
    neither is a way out of a history that cannot be read."""
    try:
        yield
    except IndexFault as fault:
        remedy = f"build it again: ragdiag index build {version.name}"
        if _can_go_back(workspace, version.spec.index_key):
            remedy += f", or go back to the build before: ragdiag index rollback {version.name}"
        raise IndexFault(
            f"{fault.message} (it serves version {version.name})", remedy=remedy
        ) from None


def _can_go_back(workspace: Workspace, index_key: str) -> bool:
    kept = standing(read_publications(workspace, index_key) or ())
    return len(kept) > 1 and (workspace.indexes / kept[-2].build_id / MANIFEST).is_file()
