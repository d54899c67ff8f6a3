"""Taking a damaged data file out of the present, so that the rest is served, and putting it back.

DuckLake reads every file its newest snapshot lists, so one missing file fails every query of its
table. Setting it aside ends the file in a snapshot of its own, as if its rows had been deleted;
the snapshot before it gets a name, so that no clean-up forgets the file. Putting it back (once
the file is whole again) ends that: the file is part of the present and of the snapshots between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from ragdiag.errors import StoreError
from ragdiag.store.lake import Lake
from ragdiag.store.rollups import fill_rollups
from ragdiag.store.times import now_utc
from ragdiag.store.upkeep.catalog_edits import add_snapshot
from ragdiag.store.upkeep.damage import fault_of
from ragdiag.store.upkeep.datafiles import CATALOG, DataFile, list_files
from ragdiag.store.upkeep.ledger import set_aside_reason
from ragdiag.store.upkeep.snapshots import drop_names, name_snapshot, named_snapshots


@dataclass(frozen=True, slots=True)
class SetAside:
    """A file out of the present: ``rows`` rows of ``table`` are not served. Once some were
    ``reloaded`` from the spool archive, it cannot be put back: they would be there twice."""

    name: str
    table: str
    rows: int
    reason: str
    snapshot: int
    reloaded: bool = False


def set_aside_all(lake: Lake, damaged: Iterable[tuple[DataFile, str]]) -> list[SetAside]:
    """Set every file aside, with its reason; the rollups then count what is left."""
    out = [set_aside(lake, file, reason) for file, reason in damaged]
    if out:
        lake.write(fill_rollups)
    return out


def set_aside(lake: Lake, file: DataFile, reason: str) -> SetAside:
    """End ``file`` and the deletions from it in a new snapshot. A damaged file of deletions takes
    its data file along: deleted rows must not come back."""
    data = file if file.kind == "data" else _data_of(lake, file)
    before = lake.snapshot()
    if not any(one.name == name_before(data.name) for one in named_snapshots(lake)):
        name_snapshot(lake, name_before(data.name), f"the last snapshot with it; {reason}", before)
    lake.write(
        lambda cursor: cursor.execute(
            "insert into set_aside values (?, ?, ?, ?, ?, ?)",
            [data.name, data.table, data.rows, reason, before, now_utc()],
        )
    )
    lake.write(lambda cursor: _end(cursor, data, f"set aside {data.name}: {reason}"))
    return SetAside(data.name, data.table, data.rows, reason, before)


def list_aside(lake: Lake) -> list[SetAside]:
    """What is set aside now, in the order in which it was."""
    rows = lake.rows(
        'select name, table_name as "table", n as rows, reason, snapshot_id as snapshot, '
        "set_aside_at from set_aside order by set_aside_at"
    )
    reloads = {
        row["reason"]: row["last"]
        for row in lake.rows("select reason, max(removed_at) as last from removals group by reason")
    }
    found = []
    for row in rows:
        since = row.pop("set_aside_at")
        last = reloads.get(set_aside_reason(row["table"]))
        found.append(SetAside(**row, reloaded=last is not None and last >= since))
    return found


def put_back(lake: Lake) -> list[SetAside]:
    """Make every file that is whole again, and not reloaded, part of the present; returns
    those."""
    files = {file.name: file for file in lake.read(list_files) if file.kind == "data"}
    back = []
    for one in list_aside(lake):
        file = files.get(one.name)
        if file is None:
            raise StoreError(
                f"the catalog no longer has the file {one.name}",
                remedy="its name was dropped and compaction forgot it: restore a backup",
            )
        if not one.reloaded and _is_whole(lake, file):
            _put_one_back(lake, file)
            back.append(one)
    if back:
        lake.write(fill_rollups)
    return back


def _is_whole(lake: Lake, file: DataFile) -> bool:
    def look(cursor: duckdb.DuckDBPyConnection) -> bool:
        known = dict(known_hashes(cursor)).get(file.name)
        return fault_of(cursor, file, known=known) is None

    return lake.read(look)


def _put_one_back(lake: Lake, file: DataFile) -> None:
    lake.write(lambda cursor: _resume(cursor, file))
    lake.write(lambda cursor: cursor.execute("delete from set_aside where name = ?", [file.name]))
    drop_names(lake, [name_before(file.name)])


def known_hashes(cursor: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """File name and SHA-256, of the files that were hashed while they were whole."""
    return cursor.execute("select name, sha256 from file_hashes").fetchall()


def name_before(file_name: str) -> str:
    """Of the last snapshot with a file that is set aside."""
    return f"before setting aside {file_name}"


def _data_of(lake: Lake, deletions: DataFile) -> DataFile:
    return next(
        file
        for file in lake.read(list_files)
        if file.kind == "data" and file.file_id == deletions.data_file_id
    )


def _end(cursor: duckdb.DuckDBPyConnection, file: DataFile, message: str) -> None:
    new = add_snapshot(cursor, f"deleted_from_table:{_table_id(cursor, file)}", message)
    for table in ("ducklake_data_file", "ducklake_delete_file"):
        cursor.execute(
            f"update {CATALOG}.{table} set end_snapshot = ? "
            "where data_file_id = ? and end_snapshot is null",
            [new, file.file_id],
        )


def _resume(cursor: duckdb.DuckDBPyConnection, file: DataFile) -> None:
    if file.end is None:
        return
    add_snapshot(cursor, f"inserted_into_table:{_table_id(cursor, file)}", f"put back {file.name}")
    for table in ("ducklake_data_file", "ducklake_delete_file"):
        cursor.execute(
            f"update {CATALOG}.{table} set end_snapshot = null "
            "where data_file_id = ? and end_snapshot = ?",
            [file.file_id, file.end],
        )


def _table_id(cursor: duckdb.DuckDBPyConnection, file: DataFile) -> int:
    row = cursor.execute(
        f"select table_id from {CATALOG}.ducklake_data_file where data_file_id = ?", [file.file_id]
    ).fetchone()
    assert row is not None
    return int(row[0])
