from __future__ import annotations

import sqlite3
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import duckdb
import pytest

from ragdiag.errors import DamagedFile, NewerWorkspace, NoWorkspace, StoreBusy, StoreError
from ragdiag.settings import Workspace
from ragdiag.store import lake as lake_module
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.migrations import MIGRATIONS
from ragdiag.store.times import now_utc, to_aware_utc, to_naive_utc
from ragdiag.store.upkeep.sqlite_process import wipe_freed

Start = Callable[..., subprocess.Popen[str]]
Finish = Callable[[subprocess.Popen[str]], str]


def count(lake: Lake, table: str) -> int:
    return int(lake.rows(f"select count(*) as n from {table}")[0]["n"])


def add_version(lake: Lake, name: str) -> None:
    lake.write(
        lambda c: c.execute("insert into versions(version_id, name) values (?, ?)", [name] * 2)
    )


def test_no_workspace_names_the_remedy(workspace: Workspace) -> None:
    with pytest.raises(StoreError, match=r"there is no workspace in .*ragdiag demo"):
        open_lake(workspace)
    assert not workspace.root.exists()


def test_a_folder_that_is_no_workspace_is_told_before_duckdb_is_started(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("DuckDB was connected")

    monkeypatch.setattr(lake_module, "connect", refuse)
    for emptied in (False, True):
        if emptied:
            workspace.catalog.parent.mkdir(parents=True)
            workspace.catalog.touch()
        with pytest.raises(NoWorkspace, match="there is no workspace in"):
            open_lake(workspace)


def test_catalog_is_private_wal_and_encrypted(lake: Lake, workspace: Workspace) -> None:
    assert workspace.catalog.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(workspace.catalog)) as catalog:
        assert catalog.execute("pragma journal_mode").fetchone() == ("wal",)
    text = "a sentence that must not be readable on disk " * 20
    lake.write(
        lambda c: c.execute(
            "insert into passages(passage_id, text) select i::varchar, ? from range(100) t(i)",
            [text],
        )
    )
    files = list(workspace.lake_data.rglob("*.parquet"))
    assert files
    assert all(b"PARE" in path.read_bytes()[:4] for path in files)


def test_one_lake_per_process_and_workspace(lake: Lake, workspace: Workspace) -> None:
    assert open_lake(workspace) is lake
    assert open_lake(Workspace(workspace.root / ".." / workspace.root.name)) is lake


def test_migrations_run_once_and_a_newer_workspace_is_refused(
    lake: Lake, workspace: Workspace
) -> None:
    close_lakes()
    lake = open_lake(workspace)
    assert count(lake, "migrations") == len(MIGRATIONS)
    later = len(MIGRATIONS) + 1
    lake.write(lambda c: c.execute("insert into migrations values (?, 'later', now())", [later]))
    close_lakes()
    with pytest.raises(NewerWorkspace, match="upgrade ragdiag"):
        open_lake(workspace)


def test_rows_and_table_take_positions_and_names(lake: Lake) -> None:
    assert lake.rows("select ? as a, ? as b", ("x", 2)) == [{"a": "x", "b": 2}]
    assert lake.rows("select $b as a", {"b": 7}) == [{"a": 7}]
    assert lake.table("select $b as a", {"b": [1, 2]}).to_pylist() == [{"a": [1, 2]}]


def test_a_failed_write_leaves_nothing(lake: Lake) -> None:
    def half(cursor: duckdb.DuckDBPyConnection) -> None:
        cursor.execute("insert into versions(version_id) values ('lost')")
        raise KeyError("on purpose")

    before = lake.snapshot()
    with pytest.raises(KeyError, match="on purpose"):
        lake.write(half)
    assert count(lake, "versions") == 0
    assert lake.snapshot() == before
    add_version(lake, "kept")
    assert lake.snapshot() > before


def test_a_defect_in_sql_is_not_the_users_fault(lake: Lake) -> None:
    with pytest.raises(duckdb.CatalogException):
        lake.rows("select * from no_such_table")


def test_conflicts_are_retried_until_patience_ends(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def locked_twice(cursor: duckdb.DuckDBPyConnection) -> str:
        attempts.append(1)
        if len(attempts) < 3:
            raise duckdb.TransactionException("Failed to commit: database is locked")
        return "through"

    assert lake.write(locked_twice) == "through"
    monkeypatch.setattr(lake_module, "PATIENCE_S", 0.05)
    attempts.extend([1] * 10)

    def always_locked(cursor: duckdb.DuckDBPyConnection) -> None:
        cursor.execute("insert into versions(version_id) values ('lost')")
        raise duckdb.TransactionException("Transaction conflict")

    with pytest.raises(StoreBusy, match="nothing was written"):
        lake.write(always_locked)
    assert count(lake, "versions") == 0


def test_a_writer_that_never_ends_makes_the_next_one_give_up(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, inside = threading.Event(), threading.Event()

    def hold(_: duckdb.DuckDBPyConnection) -> None:
        inside.set()
        release.wait(10)

    holder = threading.Thread(target=lake.write, args=[hold])
    holder.start()
    inside.wait(10)
    monkeypatch.setattr(lake_module, "PATIENCE_S", 0.1)
    try:
        with pytest.raises(StoreBusy, match=r"write\.lock"):
            add_version(lake, "lost")
    finally:
        release.set()
        holder.join()


@pytest.mark.parametrize(
    "content", [b"this is no catalog " * 100, b"SQLite format 3\0" + b"x" * 999]
)
def test_a_damaged_catalog_is_one_clear_line(workspace: Workspace, content: bytes) -> None:
    workspace.catalog.parent.mkdir(parents=True)
    workspace.catalog.write_bytes(content)
    with pytest.raises(StoreError) as raised:
        open_lake(workspace)
    assert "\n" not in str(raised.value)
    assert str(workspace.root) in str(raised.value)
    assert "restore it from a backup" in str(raised.value)
    assert workspace.catalog.read_bytes() == content


def test_a_damaged_data_file_is_a_store_error(lake: Lake, workspace: Workspace) -> None:
    lake.write(lambda c: c.execute("insert into passages(text) select i from range(5000) t(i)"))
    for path in workspace.lake_data.rglob("*.parquet"):
        path.write_bytes(b"PARE" + b"\0" * 200 + b"PARE")
    close_lakes()
    with pytest.raises(DamagedFile, match=r"is cut or grown.*store check --set-aside"):
        open_lake(workspace).rows("select sum(length(text)) from passages")


def test_a_replaced_workspace_is_opened_again(
    lake: Lake, workspace: Workspace, tmp_path: Path
) -> None:
    add_version(lake, "old")
    workspace.root.rename(tmp_path / "aside")
    again = open_lake(workspace, create=True)
    assert again is not lake
    assert count(again, "versions") == 0


def test_a_moved_workspace_still_reads(lake: Lake, workspace: Workspace, tmp_path: Path) -> None:
    lake.write(lambda c: c.execute("insert into passages(text) select i from range(5000) t(i)"))
    close_lakes()
    moved = Workspace(tmp_path / "it's moved")
    workspace.root.rename(moved.root)
    lake = open_lake(moved)
    assert count(lake, "passages") == 5000
    assert lake.rows("select max(text::int) as last from passages") == [{"last": 4999}]


def test_a_workspace_that_may_not_be_created_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot read or write .*workspace"):
        open_lake(Workspace(tmp_path / "file" / "workspace"), create=True)


def test_times_are_naive_utc_inside_and_aware_outside(lake: Lake) -> None:
    noon_in_paris = datetime.fromisoformat("2026-07-01T12:00:00+02:00")
    inside = to_naive_utc(noon_in_paris)
    assert inside == datetime(2026, 7, 1, 10)
    assert lake.rows("select ?::timestamp as t", [inside]) == [{"t": inside}]
    assert to_aware_utc(inside) == noon_in_paris
    assert abs((now_utc().replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()) < 5
    with pytest.raises(ValueError, match="no time zone"):
        to_naive_utc(inside)


def test_an_open_lake_that_nobody_reads_from_holds_nothing_of_its_catalog(lake: Lake) -> None:
    """Else the catalog's log could never be emptied, and would grow for as long as it is open."""
    lake.write(lambda cursor: cursor.execute("insert into forgotten values ('x', null)"))
    assert wipe_freed(lake.workspace.catalog) is None
