"""The plain copy of the catalog: never in the backup's folder, and gone however a backup ends."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragdiag.errors import StoreFull
from ragdiag.privacy.encryption import is_encrypted
from ragdiag.privacy.keys import new_key
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.upkeep.backup import backup_store
from ragdiag.store.upkeep.backup_manifest import backups_in
from ragdiag.store.upkeep.compact import compact_store
from ragdiag.store.upkeep.history import purge_history
from ragdiag.store.upkeep.plain_copies import OLD_GRACE_S, remove_old_work

KILLED = """
import os, signal
from ragdiag.store.lake import open_lake
from ragdiag.store.upkeep import backup
backup.write_manifest = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
backup.backup_store(open_lake(workspace), workspace, Path(arguments[0]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture
def killed(
    filled: Lake,
    workspace: Workspace,
    folder: Path,
    start_python: Callable[..., subprocess.Popen[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Lake:
    """A lake whose encrypted backup was killed just before it was whole."""
    monkeypatch.setenv("RAGDIAG_KEY", new_key())
    workspace.configuration.write_text('[privacy]\nencrypt = ["backups"]\n')
    process = start_python(KILLED, str(folder))
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, err
    return filled


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def left(workspace: Workspace) -> list[Path]:
    return list(workspace.root.glob("backup.work-*"))


def backup_again(lake: Lake, workspace: Workspace, folder: Path) -> None:
    backup_store(lake, workspace, folder)


def test_a_killed_backup_leaves_nothing_plain_in_its_folder(killed: Lake, folder: Path) -> None:
    assert backups_in(folder) == []
    assert [path for path in files(folder) if not is_encrypted(path)] == []
    assert any(path.parent.name == "catalogs" for path in files(folder))


@pytest.mark.parametrize(
    "work",
    [
        backup_again,
        lambda lake, *_: compact_store(lake, keep_days=1),
        lambda lake, *_: purge_history(lake),
    ],
    ids=["backup", "compact", "purge"],
)
def test_the_next_upkeep_removes_the_copy_of_a_killed_backup(
    killed: Lake,
    workspace: Workspace,
    folder: Path,
    work: Callable[[Lake, Workspace, Path], object],
) -> None:
    (copy,) = left(workspace)
    assert copy.stat().st_mode & 0o777 == 0o700
    assert (copy / "catalog.sqlite").stat().st_mode & 0o777 == 0o600
    work(killed, workspace, folder)
    assert left(workspace) == []


def test_what_earlier_versions_left_goes_unless_it_may_be_in_use(
    filled: Lake, workspace: Workspace, folder: Path
) -> None:
    old, young = folder / ".work-old", folder / ".work-young"
    for work in (old, young):
        work.mkdir(parents=True)
        (work / "catalog.sqlite").write_text("keys")
    then = time.time() - OLD_GRACE_S - 60
    for path in (old / "catalog.sqlite", old, young):  # SQLite still writes to the young one's file
        os.utime(path, (then, then))
    backup_store(filled, workspace, folder)
    assert [path.name for path in folder.glob(".work-*")] == [young.name]
    remove_old_work(folder / "none")


def test_a_workspace_without_room_for_the_copy_is_one_line(
    filled: Lake, workspace: Workspace, folder: Path, small_disk: Path
) -> None:
    """The backup's folder is on another disk, which has room."""
    close_lakes()
    full = Workspace(small_disk / "workspace")
    shutil.copytree(workspace.root, full.root)
    lake = open_lake(full)
    free, needed = shutil.disk_usage(small_disk).free, full.catalog.stat().st_size
    filler = small_disk / "filler"
    filler.write_bytes(bytes(free - needed // 2))
    with pytest.raises(StoreFull, match=r"no space left"):
        backup_store(lake, full, folder)
    assert (left(full), backups_in(folder)) == ([], [])
    filler.unlink()
    backup_store(lake, full, folder)
    assert (left(full), len(backups_in(folder))) == ([], 1)


def test_a_disk_that_is_full_when_the_copy_is_tidied_is_one_line(
    filled: Lake, workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(sqlite3.Connection):
        def execute(self, *_: Any) -> sqlite3.Cursor:
            raise sqlite3.OperationalError("database or disk is full")

    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path: real(path, factory=Full))
    with pytest.raises(StoreFull, match=r"no space left to write .*backup\.work-.*catalog\.sqlite"):
        backup_store(filled, workspace, folder)
    assert left(workspace) == []
