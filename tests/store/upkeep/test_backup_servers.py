"""Backup and restore of a lake whose catalog is in PostgreSQL, to there, from there and between."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragdiag.configuration import read_configuration
from ragdiag.errors import InputError, StoreBusy, StoreError
from ragdiag.settings import Workspace
from ragdiag.store import lake as lake_module
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, open_lake
from ragdiag.store.results import load_requests
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep import restored_elsewhere
from ragdiag.store.upkeep.backup import backup_store
from ragdiag.store.upkeep.check import check_store
from ragdiag.store.upkeep.compact import compact_store, expire_snapshots
from ragdiag.store.upkeep.history import purge_history
from ragdiag.store.upkeep.past import PastLake
from ragdiag.store.upkeep.restore import restore_store
from ragdiag.store.upkeep.snapshots import name_snapshot
from tests.servers import ObjectStore, Postgres
from tests.store.conftest import toy_feedback, toy_request

pytestmark = pytest.mark.slow

Place = Callable[..., Workspace]
Command = Callable[..., tuple[int, Any, str]]
Start = Callable[..., subprocess.Popen[str]]
ODD = "it's 'q' \\ é {[\"\x01"
WHOLE = {
    "requests": "from requests order by request_id",
    "feedback": "from feedback order by feedback_id",
    "versions": "from versions order by version_id",
    "gold_answers": "from gold_answers order by question_id",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def fill(lake: Lake) -> None:
    """Rows in files and in the catalog, there in both places of a table whose columns changed,
    some deleted in either; and a named snapshot from before."""
    for part in range(2):
        with SpoolWriter(lake.workspace) as spool:
            for n in range(part * 20, part * 20 + 20):
                spool.write(toy_request(n, question=f"Question {n}?"))
                spool.write(toy_feedback(n))
        ingest(lake, lake.workspace)
    for sql in (
        f"insert into versions(version_id, name, created_at) values ('a', $${ODD}$$, now())",
        "insert into gold_answers values ('q', ['one', $$it's two$$], null)",
        "alter table versions add column share double default 0.5",
        "insert into versions(version_id, share) values ('b', 'nan'), ('c', '-infinity')",
    ):
        lake.write(lambda cursor, sql=sql: cursor.execute(sql))  # type: ignore[misc]
    name_snapshot(lake, "week 1")
    for table, key in (("versions", "b"), ("requests", "r3")):
        name = "version_id" if table == "versions" else "request_id"
        lake.write(
            lambda cursor, sql=f"delete from {table} where {name} = '{key}'": cursor.execute(sql)  # type: ignore[misc]
        )


def where(workspace: Workspace) -> tuple[str, str]:
    """The schema of the catalog, and the prefix of the data in the bucket ``lake``."""
    table = read_configuration(workspace).lake
    assert table.postgres is not None
    assert table.data_path is not None
    return table.postgres.catalog_schema, table.data_path.removeprefix("s3://lake/")


def some_versions(lake: Lake) -> None:
    """More than stay in the catalog."""
    sql = "insert into versions(version_id) select i from range(30) t(i)"
    lake.write(lambda cursor: cursor.execute(sql))


def contents(lake: Lake) -> dict[str, str]:
    """As text: NaN is not equal to itself."""
    return {table: str(lake.rows(sql)) for table, sql in WHOLE.items()}


def past(lake: Lake) -> dict[str, str]:
    (named,) = lake.rows("select snapshot_id from named_snapshots")
    with PastLake(lake, named["snapshot_id"]) as then:
        return contents(then)


def test_every_place_gives_to_every_other(
    place: Place, tmp_path: Path, folder: Path, command: Command, postgres: Postgres
) -> None:
    """PostgreSQL and a bucket → local files → PostgreSQL and a folder → SQLite and a bucket."""
    first = place(tmp_path / "first")
    lake = open_lake(first, create=True)
    fill(lake)
    now, then = contents(lake), past(lake)
    places = {
        "local": Workspace(tmp_path / "local"),
        "folder": place(tmp_path / "folder", data_path=tmp_path / "data", store=None),
        "bucket": place(tmp_path / "bucket", postgres=None),
    }
    came = first
    for name, workspace in places.items():
        status, made, said = command(came, "store", "backup", str(tmp_path / f"for {name}"))
        assert (status, made["named"]) == (0, ["week 1"]), said
        status, done, said = command(workspace, "store", "restore", str(tmp_path / f"for {name}"))
        assert (status, done["files"]) == (0, made["files"]), said
        lake = open_lake(workspace)
        assert contents(lake) == now
        assert past(lake) == then
        assert workspace.catalog.is_file() == (name != "folder")
        came = workspace
    assert places["local"].catalog.stat().st_mode & 0o777 == 0o600
    assert (places["local"].root / "ragdiag.toml.of-backup").is_file()


def test_a_restored_catalog_is_as_ducklake_would_have_made_it(
    place: Place, tmp_path: Path, folder: Path, postgres: Postgres
) -> None:
    first, second = place(tmp_path / "first"), place(tmp_path / "second")
    lake = open_lake(first, create=True)
    fill(lake)
    expire_snapshots(lake, 0)  # a backup has none of them either
    backup_store(lake, first, folder)
    restore_store(second, folder)
    restored = open_lake(second)

    def tables(workspace: Workspace) -> set[str]:
        schema, _ = where(workspace)
        name = schema.replace("'", "''")
        columns = postgres.ask(
            "select table_name, column_name, data_type, is_nullable from "
            f"information_schema.columns where table_schema = '{name}'"
        )
        keys = postgres.ask(
            "select conrelid::regclass, pg_get_constraintdef(c.oid) from pg_constraint c "
            f"join pg_namespace n on n.oid = connamespace where nspname = '{name}'"
        ).replace(f'"{schema}".', "")
        return {*columns.splitlines(), *keys.splitlines()}

    assert tables(second) == tables(first)
    assert any("primary key" in line.lower() for line in tables(second))
    # It is written to as before, and upkeep finds nothing odd in it.
    with SpoolWriter(second) as spool:
        spool.write(toy_request(100))
    assert ingest(restored, second).accepted == 1
    restored.write(lambda c: c.execute("insert into versions(version_id) values ('d')"))
    before = contents(restored), past(restored)
    compact_store(restored, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    assert (contents(restored), past(restored)) == before
    assert len(load_requests(restored)) == 40


SERVE = """
import time
from datetime import UTC, datetime
from ragdiag.records import Feedback, Request
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import open_lake
from ragdiag.store.spool import SpoolWriter
lake = open_lake(workspace)
for n in range(10**9):
    now = datetime.now(UTC)
    with SpoolWriter(workspace, writer="busy") as spool:
        spool.write(Request(f"busy-{n}", now, "v1", "production", "why?"))
        spool.write(Feedback(f"busy-{n}", f"busy-{n}", now, "thumbs", 1))
    ingest(lake, workspace)
    print(n, flush=True)
"""


def test_a_backup_while_services_write_is_one_moment(
    place: Place, workspace: Workspace, tmp_path: Path, folder: Path, start_python: Start
) -> None:
    place(workspace.root)
    lake = open_lake(workspace, create=True)
    process = start_python(SERVE)
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    made = backup_store(lake, workspace, folder)
    for _ in range(3):
        process.stdout.readline()
    process.kill()
    process.wait()
    other = Workspace(tmp_path / "other")
    restore_store(other, folder)
    restored = open_lake(other)
    with PastLake(lake, made.snapshot) as then:
        assert contents(restored) == contents(then)
    assert check_store(restored, other).findings == ()
    assert 3 <= len(load_requests(restored)) < len(load_requests(lake))


def test_upkeep_of_another_machine_waits_for_a_backup(
    place: Place, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would delete files that are about to be copied."""
    here = place(tmp_path / "here")
    lake = open_lake(here, create=True)
    there = Workspace(tmp_path / "there")
    shutil.copytree(here.root, there.root)
    monkeypatch.setattr(lake_module, "PATIENCE_S", 0.1)
    with open_lake(there).turn("upkeep"):
        for work in (
            lambda: backup_store(lake, here, folder),
            lambda: compact_store(lake, keep_days=0),
            lambda: purge_history(lake),
        ):
            with pytest.raises(StoreBusy, match="has held PostgreSQL"):
                work()
    assert backup_store(lake, here, folder).snapshot == lake.snapshot()


def test_an_occupied_place_is_left_as_it_is(
    place: Place, tmp_path: Path, folder: Path, postgres: Postgres, object_store: ObjectStore
) -> None:
    first = place(tmp_path / "first")
    lake = open_lake(first, create=True)
    some_versions(lake)
    backup_store(lake, first, folder)
    for force in (False, True):
        with pytest.raises(InputError, match=r"there is a lake in PostgreSQL .*another schema"):
            restore_store(first, folder, force=force)

    second = place(tmp_path / "second")
    schema, prefix = where(second)
    object_store.write("lake", f"{prefix}/main/versions/other.parquet", b"of a lake that is gone")
    with pytest.raises(InputError, match=r"there are files in s3://.*other\.parquet.*--force"):
        restore_store(second, folder)
    postgres.ask(f'create schema "{schema}"; create table "{schema}".mine(a int)')
    with pytest.raises(StoreError, match=r"cannot restore a lake into .*nothing was restored"):
        restore_store(second, folder, force=True)
    assert postgres.ask(f'select count(*) from "{schema}".mine') == "0"
    postgres.ask(f'drop table "{schema}".mine')
    restore_store(second, folder, force=True)
    assert contents(open_lake(second)) == contents(lake)
    (key,) = object_store.keys("lake", f"{where(first)[1]}/main/versions/")
    assert Path(key).name in str(object_store.keys("lake", prefix))


def test_a_restore_that_was_interrupted_has_made_no_lake(
    place: Place, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = place(tmp_path / "first"), place(tmp_path / "second")
    lake = open_lake(first, create=True)
    some_versions(lake)
    backup_store(lake, first, folder)
    carry = restored_elsewhere.carry_tables

    def die(*arguments: Any) -> None:
        carry(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(restored_elsewhere, "carry_tables", die)
        with pytest.raises(KeyboardInterrupt):
            restore_store(second, folder)
    with pytest.raises(StoreError, match=r"is gone, but not its files.*restore again with --force"):
        open_lake(second)
    restore_store(second, folder, force=True)
    assert contents(open_lake(second)) == contents(lake)


def test_a_lake_that_is_not_encrypted_is_told_before_anything_is_written(
    place: Place, tmp_path: Path, folder: Path
) -> None:
    """Its configuration does not come along: that names servers."""
    first = place(tmp_path / "first", encrypted=False)
    lake = open_lake(first, create=True)
    some_versions(lake)
    backup_store(lake, first, folder)
    other = Workspace(tmp_path / "other")
    with pytest.raises(InputError, match=r"not encrypted, .*encrypted = false under \[lake\]"):
        restore_store(other, folder)
    assert not other.exists
    other.configuration.write_text("[lake]\nencrypted = false\n")
    restore_store(other, folder)
    assert contents(open_lake(other)) == contents(lake)


def test_a_backup_does_not_lie_among_the_lakes_own_files(place: Place, tmp_path: Path) -> None:
    workspace = place(tmp_path / "workspace", data_path=tmp_path / "data", store=None)
    lake = open_lake(workspace, create=True)
    with pytest.raises(InputError, match="lies in the lake itself"):
        backup_store(lake, workspace, tmp_path / "data" / "backup")
