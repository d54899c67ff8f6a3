"""Upkeep where the disk is full or read-only, and where the catalog is held by somebody else."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragdiag.errors import StoreBusy, StoreError, StoreFull
from ragdiag.records import Passage, Request
from ragdiag.settings import Workspace
from ragdiag.store import lake as lake_module
from ragdiag.store.corpus import add_documents, load_passages
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep.backup import backup_store
from ragdiag.store.upkeep.backup_manifest import backups_in
from ragdiag.store.upkeep.check import check_store
from ragdiag.store.upkeep.compact import compact_store

Start = Callable[..., subprocess.Popen[str]]
MakeRequest = Callable[..., Request]


def documents(number: int) -> list[Passage]:
    """About 200 kB that do not compress."""
    noise = random.Random(number)
    return [Passage(f"{number}-{n}", str(number), noise.randbytes(1_000).hex()) for n in range(150)]


def fill(disk: Path) -> Path:
    path = disk / "filler"
    with open(path, "wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(65_536))
        except OSError:
            return path


def test_compaction_on_a_full_disk_changes_nothing_and_works_later(small_disk: Path) -> None:
    workspace = Workspace(small_disk / "workspace")
    lake = open_lake(workspace, create=True)
    for number in range(4):
        add_documents(lake, documents(number))
    before = load_passages(lake)
    filler = fill(small_disk)
    with pytest.raises(StoreFull, match="free some space"):
        compact_store(lake, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    filler.unlink()
    assert load_passages(lake) == before
    compact_store(lake, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    assert load_passages(lake) == before
    assert check_store(lake, workspace).findings == ()


def test_a_backup_on_a_full_disk_leaves_the_earlier_one(
    small_disk: Path, filled: Lake, workspace: Workspace
) -> None:
    folder = small_disk / "backup"
    first = backup_store(filled, workspace, folder)
    add_documents(filled, documents(1))
    filler = fill(small_disk)
    with pytest.raises(StoreFull, match="no space left to write"):
        backup_store(filled, workspace, folder)
    assert backups_in(folder) == [first.backup]
    filler.unlink()
    backup_store(filled, workspace, folder)
    assert len(backups_in(folder)) == 2


@pytest.fixture
def read_only(filled: Lake, workspace: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    """The workspace on a file system that is mounted read-only, where this user may mount one."""
    close_lakes()
    place = tmp_path / "read only"
    place.mkdir()
    bind = ["mount", "--bind", str(workspace.root), str(place)]
    if subprocess.run(bind, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
    yield Workspace(place)
    close_lakes()
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_read_only_disk_is_one_clear_line(
    read_only: Workspace, make_request: MakeRequest
) -> None:
    with pytest.raises(StoreError, match=r"cannot (read or write|open)") as raised:
        compact_store(open_lake(read_only), keep_days=0)
    assert "\n" not in str(raised.value)
    with pytest.raises(StoreError, match="Read-only file system"):
        SpoolWriter(read_only).write(make_request(1))


HOLD = """
import sqlite3, time
catalog = sqlite3.connect(workspace.catalog, isolation_level=None)
catalog.execute("begin exclusive")
print("held", flush=True)
sys.stdin.readline()
catalog.execute("rollback")
print("free", flush=True)
"""


def test_a_catalog_that_is_held_is_waited_for_then_told_and_nothing_is_lost(
    filled: Lake,
    workspace: Workspace,
    make_request: MakeRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with SpoolWriter(workspace) as spool:
        spool.write(make_request(1000))
    prelude = "import sys; from pathlib import Path; from ragdiag.settings import Workspace\n"
    code = f"{prelude}workspace = Workspace(Path(sys.argv[1]))\n{HOLD}"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(workspace.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        monkeypatch.setattr(lake_module, "PATIENCE_S", 0.2)
        with pytest.raises(StoreBusy, match="other writers hold"):
            ingest(filled, workspace)
        assert len(list(workspace.spool.glob("*.jsonl"))) == 1
        assert filled.rows("select count(*) as n from requests") == [{"n": 120}]
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "free\n"
    finally:
        holder.kill()
        holder.communicate()
    assert ingest(filled, workspace).accepted == 1
    assert check_store(filled, workspace).findings == ()
