"""Where this workspace's backups lie: one small file beside the lake, for the day the lake is gone.

Imports nothing of the lake, so that opening one can ask it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from ragdiag.errors import StoreError
from ragdiag.settings import Workspace

FILE = "backups.json"


@dataclass(frozen=True, slots=True)
class KnownBackup:
    """``made_at`` is ISO 8601 UTC."""

    directory: str
    backup: str
    snapshot: int
    made_at: str


def list_backups(workspace: Workspace) -> list[KnownBackup]:
    """The backups this workspace remembers, oldest first; none where the file cannot be read."""
    try:
        rows = json.loads((workspace.root / FILE).read_text(encoding="utf-8"))
        return [KnownBackup(**row) for row in rows]
    except (OSError, ValueError, TypeError):
        return []


def remember_backup(workspace: Workspace, made: KnownBackup) -> None:
    """Add one; the file is replaced whole."""
    path = workspace.root / FILE
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    every = [*list_backups(workspace), made]
    fresh.write_text(json.dumps([asdict(one) for one in every], indent=1), encoding="utf-8")
    fresh.replace(path)


def lost_catalog_error(
    workspace: Workspace, place: str, data: str | None, *, emptied: bool = False
) -> StoreError | None:
    """The error where the catalog ``place`` holds no lake although the workspace had one: a backup
    is known, or ``data`` is a Parquet file where its files belong. A fresh, empty catalog over them
    would make orphans of every file, which compaction deletes. ``emptied``: the catalog's file is
    there, with nothing in it."""
    known = list_backups(workspace)
    if not known and data is None:
        return None
    newest = known[-1] if known else None
    remedy = (
        f"restore it: ragdiag store restore {newest.directory} (snapshot {newest.snapshot}, made "
        f"{newest.made_at})"
        if newest
        else "put it back from a copy, or give an interrupted ragdiag store restore again with "
        "--force; no backup was made here"
    )
    there = "" if data is None else f", but not its files, such as {data}"
    # A workspace with backups takes no new lake, wherever its files would go.
    elsewhere = "another workspace" if newest else "another workspace or data_path"
    return StoreError(
        f"the catalog {place} is {'empty' if emptied else 'gone'}{there}",
        remedy=f"{remedy}; for a new lake name {elsewhere}",
    )
