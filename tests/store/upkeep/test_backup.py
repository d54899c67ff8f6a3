from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ragdiag.errors import DamagedFile, InputError, NoWorkspace, StoreError, UnknownName
from ragdiag.records import Request
from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep import backup as backup_module
from ragdiag.store.upkeep.archive import compress_archive
from ragdiag.store.upkeep.backup import backup_store
from ragdiag.store.upkeep.backup_manifest import backups_in, read_manifest
from ragdiag.store.upkeep.check import check_store
from ragdiag.store.upkeep.compact import compact_store
from ragdiag.store.upkeep.known_backups import KnownBackup, list_backups, remember_backup
from ragdiag.store.upkeep.past import PastLake
from ragdiag.store.upkeep.removal import remove_requests
from ragdiag.store.upkeep.restore import restore_store
from ragdiag.store.upkeep.snapshots import name_snapshot, named_snapshots

Start = Callable[..., subprocess.Popen[str]]
MakeRequest = Callable[..., Request]
ROWS = "select * from requests order by request_id"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture
def other(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "other machine")


def test_a_restored_copy_has_every_row_and_its_named_snapshots(
    filled: Lake, workspace: Workspace, folder: Path, other: Workspace
) -> None:
    kept = name_snapshot(filled, "week 1")
    before = filled.rows(ROWS)
    filled.write(lambda c: remove_requests(c, ["r1", "r2"], "test"))
    workspace.configuration.write_text("[retention]\narchive_days = 7\n")
    made = backup_store(filled, workspace, folder, spool=True)
    rows = filled.rows(ROWS)
    assert made.snapshot == filled.snapshot()
    assert made.copied == made.files > 0

    done = restore_store(other, folder)
    assert (done.snapshot, done.files, done.moved_to) == (made.snapshot, made.files, None)
    lake = open_lake(other)
    assert lake.rows(ROWS) == rows
    with PastLake(lake, kept.snapshot) as past:
        assert past.rows(ROWS) == before
    assert named_snapshots(lake) == named_snapshots(filled)
    assert check_store(lake, other).findings == ()
    assert other.configuration.read_text() == workspace.configuration.read_text()
    assert other.catalog.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(other.catalog)) as catalog:
        assert catalog.execute("pragma journal_mode").fetchone() == ("wal",)
    assert list_backups(other) == list_backups(workspace)


def test_the_second_backup_copies_only_what_is_new(
    filled: Lake, workspace: Workspace, folder: Path, make_request: MakeRequest
) -> None:
    first = backup_store(filled, workspace, folder)
    again = backup_store(filled, workspace, folder)
    assert (again.files, again.copied, again.bytes_copied) == (first.files, 0, 0)
    with SpoolWriter(workspace) as spool:
        spool.write(make_request(1000))
    ingest(filled, workspace)
    third = backup_store(filled, workspace, folder)
    assert 0 < third.copied <= third.files - first.files
    damaged = next((folder / "files").rglob("*.parquet"))
    damaged.write_bytes(b"rotten")
    assert backup_store(filled, workspace, folder).copied == 1
    assert len(backups_in(folder)) == 4


def test_an_older_backup_of_the_folder_can_be_chosen(
    filled: Lake, workspace: Workspace, folder: Path, other: Workspace
) -> None:
    first = backup_store(filled, workspace, folder)
    filled.write(lambda c: c.execute("delete from requests where true"))
    compact_store(filled, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    backup_store(filled, workspace, folder)
    restore_store(other, folder, backup=first.backup)
    assert len(open_lake(other).rows(ROWS)) == 120
    with pytest.raises(UnknownName, match="name one of"):
        restore_store(other, folder, backup="nothing", force=True)
    with pytest.raises(UnknownName, match="there is no backup in"):
        restore_store(other, folder / "elsewhere", force=True)


def test_restore_does_not_touch_a_live_lake_unless_forced_and_then_keeps_it(
    filled: Lake, workspace: Workspace, folder: Path, make_request: MakeRequest
) -> None:
    backup_store(filled, workspace, folder)
    with SpoolWriter(workspace) as spool:
        spool.write(make_request(1000))
    ingest(filled, workspace)
    compress_archive(workspace)
    with pytest.raises(InputError, match=r"there is a lake in .*--force"):
        restore_store(workspace, folder)
    assert len(filled.rows(ROWS)) == 121
    done = restore_store(workspace, folder, force=True)
    assert done.moved_to is not None
    assert (Path(done.moved_to) / "catalog.sqlite").is_file()
    lake = open_lake(workspace)
    assert len(lake.rows(ROWS)) == 120
    assert done.to_ingest == 1, "what came after the backup is still in the archive"
    ingest(lake, workspace)
    assert len(lake.rows(ROWS)) == 121
    assert check_store(lake, workspace).findings == ()


@pytest.mark.parametrize("victim", ["files/**/*.parquet", "catalogs/*.sqlite"])
@pytest.mark.parametrize("fate", ["changed", "missing"])
def test_a_damaged_backup_is_refused_before_anything_is_written(
    filled: Lake, workspace: Workspace, folder: Path, other: Workspace, victim: str, fate: str
) -> None:
    backup_store(filled, workspace, folder)
    path = next(folder.glob(victim))
    if fate == "missing":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(StoreError, match=rf"{path.name} is {fate}.*nothing was restored"):
        restore_store(other, folder)
    assert not other.root.exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd"])
def test_a_hostile_manifest_leads_nowhere(
    filled: Lake, workspace: Workspace, folder: Path, other: Workspace, name: str
) -> None:
    made = backup_store(filled, workspace, folder)
    path = folder / "manifests" / f"{made.backup}.json"
    body = json.loads(path.read_text())
    body["files"][0]["name"] = name
    path.write_text(json.dumps(body))
    with pytest.raises(InputError, match="leads out of the backup"):
        restore_store(other, folder)
    path.write_text("{")
    with pytest.raises(InputError, match=r"manifests.*choose another backup"):
        restore_store(other, folder)


def test_an_interrupted_backup_leaves_the_earlier_one(
    filled: Lake,
    workspace: Workspace,
    folder: Path,
    other: Workspace,
    make_request: MakeRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = backup_store(filled, workspace, folder)
    with SpoolWriter(workspace) as spool:
        spool.write(make_request(1000))
    ingest(filled, workspace)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(backup_module, "write_manifest", die)
        with pytest.raises(KeyboardInterrupt):
            backup_store(filled, workspace, folder)
    assert backups_in(folder) == [first.backup]
    assert list(workspace.root.glob("backup.work-*")) == []
    restore_store(other, folder)
    assert len(open_lake(other).rows(ROWS)) == 120
    assert read_manifest(folder).snapshot == first.snapshot


def test_a_missing_data_file_stops_the_backup_and_is_named(
    filled: Lake, workspace: Workspace, folder: Path
) -> None:
    path = next((workspace.lake_data / "main" / "requests").glob("*.parquet"))
    path.unlink()
    with pytest.raises(DamagedFile, match=path.name):
        backup_store(filled, workspace, folder)
    assert backups_in(folder) == []
    with pytest.raises(InputError, match="lies in the lake itself"):
        backup_store(filled, workspace, workspace.lake_data / "backup")
    with pytest.raises(InputError, match="is the workspace itself"):
        backup_store(filled, workspace, workspace.root / "lake" / "..")


@pytest.mark.parametrize("configured", [False, True])
def test_a_deleted_catalog_offers_the_newest_backup(
    filled: Lake, workspace: Workspace, folder: Path, configured: bool
) -> None:
    if configured:
        workspace.configuration.write_text("[retention]\narchive_days = 30\n")
    close_lakes()
    for path in workspace.catalog.parent.glob("catalog.sqlite*"):
        path.rename(path.with_name(f"kept-{path.name}"))
    for create in (False, True):
        with pytest.raises(
            StoreError, match=r"catalog.sqlite is gone, but not its files, .*; put it back from"
        ):
            open_lake(workspace, create=create)
        assert not workspace.catalog.exists()
    for path in workspace.catalog.parent.glob("kept-*"):
        path.rename(path.with_name(path.name.removeprefix("kept-")))
    made = backup_store(open_lake(workspace), workspace, folder)
    close_lakes()
    workspace.catalog.unlink()
    shutil.rmtree(workspace.lake_data)
    told = rf"is gone; restore it: ragdiag store restore .*backup \(snapshot {made.snapshot}"
    for create in (False, True):
        with pytest.raises(StoreError, match=told):
            open_lake(workspace, create=create)
    restore_store(workspace, folder)
    assert len(open_lake(workspace).rows(ROWS)) == 120


def test_an_emptied_catalog_is_a_lost_one(filled: Lake, workspace: Workspace, folder: Path) -> None:
    close_lakes()
    before = workspace.catalog.read_bytes()
    for create in (False, True):
        workspace.catalog.write_bytes(b"")
        with pytest.raises(StoreError, match=r"catalog.sqlite is empty, but not its files, .*copy"):
            open_lake(workspace, create=create)
        assert workspace.catalog.read_bytes() == b""
    workspace.catalog.write_bytes(before)
    backup_store(open_lake(workspace), workspace, folder)
    close_lakes()
    workspace.catalog.write_bytes(b"")
    with pytest.raises(StoreError, match=r"is empty, .*restore it: ragdiag store restore "):
        open_lake(workspace)
    restore_store(workspace, folder)
    assert len(open_lake(workspace).rows(ROWS)) == 120


def test_what_a_lost_catalog_offers_is_not_refused_then(
    filled: Lake, workspace: Workspace, folder: Path, other: Workspace
) -> None:
    close_lakes()
    shutil.copytree(workspace.root, other.root)
    for place in (workspace, other):
        place.catalog.unlink()
    with pytest.raises(StoreError, match=r"name another workspace or data_path$"):
        open_lake(other, create=True)
    other.configuration.write_text(f'[lake]\ndata_path = "{other.root / "new"}"\n')
    open_lake(other, create=True)
    remember_backup(workspace, KnownBackup(str(folder), "b1", 7, "2026-01-05T12:00:00Z"))
    with pytest.raises(StoreError, match=r"for a new lake name another workspace$"):
        open_lake(workspace, create=True)


def test_a_new_lake_is_not_made_over_the_files_of_another(
    filled: Lake, workspace: Workspace, other: Workspace, tmp_path: Path
) -> None:
    data = tmp_path / "elsewhere [1]"
    shutil.copytree(workspace.lake_data, data)
    other.root.mkdir(parents=True)
    other.configuration.write_text(f'[lake]\ndata_path = "{data}"\n')
    for create in (False, True):
        with pytest.raises(StoreError, match=r"is gone, but not its files, such as .*parquet"):
            open_lake(other, create=create)
    assert not other.catalog.exists()
    shutil.rmtree(data)
    with pytest.raises(NoWorkspace):
        open_lake(other)
    open_lake(other, create=True)


SERVE = """
import time
from datetime import UTC, datetime
from ragdiag.records import Request
from ragdiag.store.spool import SpoolWriter
spool = SpoolWriter(workspace, writer=arguments[0])
for n in range(10**9):
    spool.write(Request(f"{arguments[0]}-{n}", datetime.now(UTC), "v1", "production", "why?"))
    time.sleep(0.002)
"""
INGEST = """
import time
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import open_lake
lake = open_lake(workspace)
while True:
    print(ingest(lake, workspace).accepted, flush=True)
    time.sleep(0.05)
"""


@pytest.mark.slow
def test_a_backup_while_services_write_has_exactly_the_rows_of_its_snapshot(
    filled: Lake, workspace: Workspace, folder: Path, other: Workspace, start_python: Start
) -> None:
    services = [start_python(SERVE, name) for name in ("a", "b")]
    ingester = start_python(INGEST)
    assert ingester.stdout is not None
    while int(ingester.stdout.readline()) < 50:
        pass
    made = backup_store(filled, workspace, folder, spool=True)
    while int(ingester.stdout.readline()) < 50:
        pass
    for process in [*services, ingester]:
        process.kill()
        process.wait()
    restore_store(other, folder)
    restored = open_lake(other)
    with PastLake(filled, made.snapshot) as past:
        assert restored.rows(ROWS) == past.rows(ROWS)
    assert len(restored.rows(ROWS)) < len(filled.rows(ROWS))
    ingest(restored, other)
    findings = check_store(restored, other).findings
    assert findings == ()


def test_a_lake_that_is_not_encrypted_is_kept_up_and_restored(
    workspace: Workspace, folder: Path, other: Workspace, make_request: MakeRequest
) -> None:
    for place in (workspace, other):
        place.root.mkdir(parents=True)
        place.configuration.write_text("[lake]\nencrypted = false\n")
    lake = open_lake(workspace, create=True)
    for number in range(3):
        with SpoolWriter(workspace) as spool:
            spool.write(make_request(number))
        ingest(lake, workspace)
    assert check_store(lake, workspace).findings == ()
    compact_store(lake, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    assert check_store(lake, workspace).findings == ()
    backup_store(lake, workspace, folder)
    restore_store(other, folder)
    assert open_lake(other).rows(ROWS) == lake.rows(ROWS)
    close_lakes()


def test_a_lake_is_restored_where_the_configuration_places_its_files(
    filled: Lake, workspace: Workspace, folder: Path, other: Workspace, tmp_path: Path
) -> None:
    data = tmp_path / "elsewhere [1]"
    backup_store(filled, workspace, folder)
    other.root.mkdir(parents=True)
    other.configuration.write_text(f'[lake]\ndata_path = "{data}"\n')
    restore_store(other, folder)
    lake = open_lake(other)
    assert lake.rows(ROWS) == filled.rows(ROWS)
    assert list(data.rglob("*.parquet"))
    assert not other.lake_data.exists()
    assert other.catalog.stat().st_mode & 0o777 == 0o600
    assert check_store(lake, other).findings == ()
    for force in (False, True):
        with pytest.raises(InputError, match=r"there is a lake in .*is not moved aside"):
            restore_store(other, folder, force=force)
    close_lakes()
    shutil.rmtree(other.catalog.parent)
    with pytest.raises(InputError, match=r"there are files in .*--force"):
        restore_store(other, folder)
    next(data.rglob("*.parquet")).unlink()
    restore_store(other, folder, force=True)
    assert check_store(open_lake(other), other).findings == ()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_the_journal_of_a_catalog_that_is_gone_is_not_applied_to_the_restored_one(
    filled: Lake, workspace: Workspace, folder: Path, other: Workspace, tmp_path: Path, mode: str
) -> None:
    backup_store(filled, workspace, folder)
    other.catalog.parent.mkdir(parents=True)
    other.configuration.write_text(f'[lake]\ndata_path = "{tmp_path / "elsewhere"}"\n')
    gone = tmp_path / "gone" / other.catalog.name
    gone.parent.mkdir()
    shutil.copy(workspace.catalog, gone)
    with closing(sqlite3.connect(gone, isolation_level=None)) as catalog:
        catalog.execute(f"pragma journal_mode={mode}")
        catalog.execute("pragma cache_size=1")  # so that a journal is on the disk at once
        catalog.execute("begin")
        catalog.execute("delete from ducklake_metadata")
        catalog.execute("create table filler as select randomblob(90000) as b")
        if mode == "wal":
            catalog.execute("commit")
        for path in gone.parent.glob(f"{gone.name}-*"):  # as a process leaves them that is killed
            shutil.copy(path, other.catalog.parent)
    assert list(other.catalog.parent.iterdir())
    restore_store(other, folder)
    lake = open_lake(other)
    assert lake.rows(ROWS) == filled.rows(ROWS)
    assert check_store(lake, other).findings == ()
