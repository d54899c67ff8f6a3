"""Where a backup has its copy of the catalog until that is sealed: in the workspace.

The copy is plain, whatever the backup is to be: it holds the keys of the lake's files and words of
users. So it never lies in the backup's folder, which others may keep, and what a killed backup
left of it goes as soon as other upkeep of the lake has its turn.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ragdiag.settings import Workspace
from ragdiag.store.disk import disk_faults
from ragdiag.store.lake import Lake

PREFIX = "backup.work-"
_OLD_PREFIX = ".work-"
"""Of the folders that earlier versions made in the backup's own."""
OLD_GRACE_S = 43_200.0
"""How old one of those must be: a younger one may be that of another lake's running backup."""


@contextmanager
def upkeep_turn(lake: Lake) -> Iterator[None]:
    """Lake.turn("upkeep"); whoever has it is alone, so copies that lie there are nobody's."""
    with lake.turn("upkeep"):
        for left in lake.workspace.root.glob(f"{PREFIX}*"):
            if _is_folder(left):
                with disk_faults(left):
                    shutil.rmtree(left)
        yield


def _is_folder(path: Path) -> bool:
    """And no link to one, which nobody here has made."""
    return path.is_dir() and not path.is_symlink()


@contextmanager
def work_folder(workspace: Workspace) -> Iterator[Path]:
    """A folder for this user alone, within :func:`upkeep_turn`; it goes with all that it holds."""
    with disk_faults(workspace.root):
        work = Path(tempfile.mkdtemp(prefix=PREFIX, dir=workspace.root))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def remove_old_work(directory: Path) -> None:
    """Remove what killed backups of earlier versions left in the backup folder ``directory``."""
    for left in directory.glob(f"{_OLD_PREFIX}*"):
        if not _is_folder(left):
            continue
        with disk_faults(left), suppress(FileNotFoundError):
            touched = max(path.stat().st_mtime for path in (left, *left.iterdir()))
            if touched < time.time() - OLD_GRACE_S:
                shutil.rmtree(left)
