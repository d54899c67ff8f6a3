"""A restored lake inside its workspace: written beside the one in use, then put in its place.

The lake that was there is moved aside, never deleted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from ragdiag.errors import InputError, StoreError
from ragdiag.privacy.keys import Keyring
from ragdiag.progress import Progress, report
from ragdiag.settings import Workspace
from ragdiag.store.catalogs.sqlite_catalog import SqliteCatalog
from ragdiag.store.disk import disk_faults
from ragdiag.store.lake import PATIENCE_S, close_lakes
from ragdiag.store.locks import locked
from ragdiag.store.upkeep.backup_manifest import Entry
from ragdiag.store.upkeep.sealed import copy_out, measure_sealed

CATALOG = "catalog.sqlite"
ASIDE = "lake.before-"
"""How the folders of lakes that were moved aside begin."""


def refuse_occupied(workspace: Workspace, *, force: bool) -> None:
    """Raises InputError where there is a lake and ``force`` is not given."""
    if SqliteCatalog(workspace.catalog).holds_lake() and not force:
        raise InputError(
            f"there is a lake in {workspace.root}",
            remedy="name an empty workspace (--workspace), or give --force: the lake that is there "
            "is moved aside",
        )


def write_beside(
    directory: Path,
    entries: Sequence[Entry],
    fresh: Path,
    keys: Keyring,
    progress: Progress | None = None,
) -> None:
    """Write catalog and data files into the folder ``fresh``, laid out as a lake's. What an
    interrupted restore left is overwritten. Raises StoreError."""
    for number, entry in enumerate(entries):
        report(progress, number / len(entries), f"restore {entry.name}")
        target = fresh / _place(entry)
        if measure_sealed(target) == entry.measured:
            continue
        if copy_out(directory / entry.name, target, keys) != entry.measured:
            raise StoreError(
                f"{target} did not become what the backup says",
                remedy="nothing was restored: check the disk and run this again",
            )


def _place(entry: Entry) -> Path:
    """Where it lies in a lake's folder."""
    name = PurePosixPath(entry.name)
    if name.parts[0] == "files":
        return Path("data", *name.parts[1:])
    return Path(CATALOG)


def swap_lake(workspace: Workspace, fresh: Path) -> Path | None:
    """Put ``fresh`` in the place of the lake; where the old one went, if there was one."""
    live = workspace.catalog.parent
    moved = None
    close_lakes(workspace)
    with disk_faults(live), ExitStack() as stack:
        if live.exists():
            stack.enter_context(locked(live / "write.lock", time.monotonic() + PATIENCE_S))
            moved = workspace.root / f"{ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z"
            live.rename(moved)
        fresh.rename(live)
    return moved
