"""``store compact``: few large files instead of many small ones, and nothing kept without need.

Order matters. The sums by day are added up before all else, since that changes rows. Rows and
deletions that still lie in the catalog are written out first, in the same turn as the rewriting of
files with deletions: DuckLake 1.0 corrupts older snapshots where it writes out deletions from a
file that was rewritten before (duckdb/ducklake#1406). After that step the rows of every kept
snapshot are compared with before (:func:`row_marks`); only if they are equal does anything expire.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from ragdiag.errors import DamagedFile, StoreError
from ragdiag.progress import Progress, report
from ragdiag.store.lake import Lake
from ragdiag.store.rollups import sum_rollups
from ragdiag.store.upkeep.catalog_edits import look_again, widen_bounds
from ragdiag.store.upkeep.cleanup import ORPHAN_GRACE_S, delete_old_files, delete_orphans
from ragdiag.store.upkeep.datafiles import CATALOG, list_files, list_tables
from ragdiag.store.upkeep.durability import synced
from ragdiag.store.upkeep.past import PastLake
from ragdiag.store.upkeep.plain_copies import upkeep_turn
from ragdiag.store.upkeep.snapshots import named_snapshots, snapshot_ids
from ragdiag.store.upkeep.soundness import forget_hashes

DELETED_SHARE = 0.05
"""A file is rewritten once this share of its rows is deleted."""

MERGES_PER_TURN = 4
MERGED_BYTES = 64_000_000
"""Larger files are left alone, so that a turn is seconds, not minutes: writers wait for it."""

FILE_GRACE_S = 3_600.0
"""How long a file that no snapshot needs stays, for queries that still read it."""

SMALL_TABLES = ("migrations", "named_snapshots", "set_aside")
"""Kept inside the catalog: without them damage to a data file could not be mended."""


@dataclass(frozen=True, slots=True)
class CompactReport:
    """Files listed before and after, merges, rewrites, snapshots expired, files deleted."""

    files_before: int
    files_after: int
    merged: int
    rewritten: int
    snapshots_expired: int
    files_deleted: int
    orphans_deleted: int


def compact_store(
    lake: Lake,
    *,
    keep_days: float,
    file_grace_s: float = FILE_GRACE_S,
    orphan_grace_s: float = ORPHAN_GRACE_S,
    progress: Progress | None = None,
) -> CompactReport:
    """Add up the sums by day, merge small files, rewrite those with deletions, expire snapshots
    older than ``keep_days`` that have no name, and delete files that nothing needs any more.

    Services may write meanwhile; they wait for turns of seconds. Raises StoreError where a kept
    snapshot no longer reads as before; nothing is expired or deleted then.
    """
    with upkeep_turn(lake):
        before = len(lake.read(list_files))
        with synced(lake):
            lake.write(sum_rollups)
        tables = [name for name in lake.read(untidy_tables) if name not in SMALL_TABLES]
        kept = {one.snapshot for one in named_snapshots(lake)} | {lake.snapshot()}
        marks = {snapshot: row_marks(lake, snapshot, tables) for snapshot in kept}
        merged = rewritten = 0
        with synced(lake):
            for number, table in enumerate(tables):
                report(progress, 0.8 * number / len(tables), f"compact {table}")
                rewritten += _rewrite(lake, table)
                merged += _merge(lake, table)
        report(progress, 0.8, "compare every kept snapshot with before")
        for snapshot, mark in marks.items():
            if row_marks(lake, snapshot, tables) != mark:
                raise StoreError(
                    f"snapshot {snapshot} does not read as before compaction",
                    remedy="nothing was expired or deleted: restore a backup, and report it",
                )
        report(progress, 0.9, "expire snapshots and delete files")
        expired = expire_snapshots(lake, keep_days)
        deleted = delete_old_files(lake, file_grace_s)
        orphans = delete_orphans(lake, orphan_grace_s)
        forget_hashes(lake)
        after = len(lake.read(list_files))
    report(progress, 1.0, "compacted")
    return CompactReport(before, after, merged, rewritten, expired, deleted, orphans)


def row_marks(lake: Lake, snapshot: int, tables: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Table → number of its rows and checksum of its first column, which says what a row is about,
    at a snapshot, for those of ``tables`` that it had. DuckLake's own row ids will not do: a small
    row that was changed may have another one once it is written out."""
    there = lake.read(lambda cursor: list_tables(cursor, snapshot))
    with PastLake(lake, snapshot) as past:
        return {name: _mark(past, name) for name in there if name in tables}


def _mark(past: Lake, table: str) -> tuple[int, int]:
    try:
        row = past.rows(
            "select count(*) as n, "
            f"coalesce(sum(hash(#1)::hugeint % 1000003), 0)::bigint as mark from {table}"
        )[0]
    except DamagedFile:  # set aside: as unreadable before as after
        return -1, -1
    return int(row["n"]), int(row["mark"])


def expire_snapshots(lake: Lake, keep_days: float) -> int:
    """Expire what is older than ``keep_days`` days, but never a named snapshot nor the newest.
    Returns how many went."""
    with lake.turn():
        kept = {one.snapshot for one in named_snapshots(lake)}
        old = [
            row["snapshot_id"]
            for row in lake.rows(
                "select snapshot_id from ducklake_snapshots('lake') where snapshot_time < "
                "now() - to_seconds(?) order by snapshot_id",
                [keep_days * 86_400],
            )
        ]
        newest = lake.read(snapshot_ids)[-1]
        gone = [snapshot for snapshot in old if snapshot not in kept and snapshot != newest]
        if gone:
            lake.rows(
                f"select count(*) from (select snapshot_id from "
                f"ducklake_expire_snapshots('lake', versions => {gone}))"
            )
    return len(gone)


def untidy_tables(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    """Tables with several files, with deletions, or with rows that lie in the catalog."""
    several = cursor.execute(
        f"select table_name from {CATALOG}.ducklake_table t where end_snapshot is null and ("
        f"(select count(*) from {CATALOG}.ducklake_data_file f where f.table_id = t.table_id "
        f"and f.end_snapshot is null and f.file_size_bytes < {MERGED_BYTES}) > 1 or "
        f"exists (select 1 from {CATALOG}.ducklake_delete_file d where d.table_id = t.table_id "
        "and d.end_snapshot is null))"
    ).fetchall()
    inlined = {table for table in list_tables(cursor) if _lies_in_catalog(cursor, table)}
    return sorted({str(row[0]) for row in several} | inlined)


def _lies_in_catalog(cursor: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether rows of small inserts, or deletions, of a table lie in the catalog now. Its columns
    may have changed: it has a place for such rows for each set of columns it has had."""
    found = cursor.execute(
        f"select t.table_id, i.table_name from {CATALOG}.ducklake_table t "
        f"left join {CATALOG}.ducklake_inlined_data_tables i using (table_id) "
        "where t.end_snapshot is null and t.table_name = ?",
        [table],
    ).fetchall()
    names = [name for _, name in found if name is not None]
    deletions = [f"ducklake_inlined_delete_{table_id}" for table_id, _ in found[:1]]
    return any(_has_rows(cursor, name) for name in [*names, *deletions])


def _has_rows(cursor: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether a table of the catalog is there and has a row."""
    try:
        return bool(cursor.execute(f"select 1 from {CATALOG}.{name} limit 1").fetchone())
    except duckdb.CatalogException:
        return False


def _rewrite(lake: Lake, table: str) -> int:
    """Write out what lies in the catalog, then rewrite files with deletions."""
    with announced_turn(lake):
        if lake.read(lambda cursor: _lies_in_catalog(cursor, table)):
            lake.rows(
                f"select count(*) from ducklake_flush_inlined_data('lake', table_name => '{table}')"
            )
        done = lake.rows(
            f"select files_processed from ducklake_rewrite_data_files('lake', '{table}', "
            f"delete_threshold => {DELETED_SHARE})"
        )
        lake.transact(widen_bounds)
    return sum(int(row["files_processed"]) for row in done)


@contextmanager
def announced_turn(lake: Lake) -> Iterator[None]:
    """A writer's turn. Where places for small rows are gone from the catalog in the end, every
    process is told before another writer has its turn: it could not finish it. Writing out the
    rows of one table takes away the emptied places of all."""
    with lake.turn():
        before = lake.read(_places)
        yield
        if lake.read(_places) != before:
            lake.transact(look_again)


def _places(cursor: duckdb.DuckDBPyConnection) -> int:
    row = cursor.execute(f"select count(*) from {CATALOG}.ducklake_inlined_data_tables").fetchone()
    return int(row[0]) if row else 0


def _merge(lake: Lake, table: str) -> int:
    """Merge in short turns until a turn merges nothing. A table with a partition whose files lie
    in two folders is left as it is: DuckLake 1.0 dies on it (duckdb/ducklake#1195)."""
    merged = 0
    while True:
        with announced_turn(lake):
            if lake.read(lambda cursor: _is_scattered(cursor, table)):
                return merged
            done = lake.rows(
                f"select files_processed from ducklake_merge_adjacent_files('lake', '{table}', "
                f"max_compacted_files => {MERGES_PER_TURN}, max_file_size => {MERGED_BYTES})"
            )
        if not done:
            return merged
        merged += sum(int(row["files_processed"]) for row in done)


def _is_scattered(cursor: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether files of one partition lie in different folders."""
    row = cursor.execute(
        f"""
        with folders as (
            select f.data_file_id, regexp_replace(f.path, '[^/]*$', '') as folder,
                   concat(f.partition_id, '/',
                          string_agg(v.partition_value, '/' order by v.partition_key_index)) as part
            from {CATALOG}.ducklake_data_file f
            join {CATALOG}.ducklake_table t using (table_id)
            left join {CATALOG}.ducklake_file_partition_value v using (data_file_id)
            where t.table_name = ? and t.end_snapshot is null and f.end_snapshot is null
            group by f.data_file_id, f.path, f.partition_id)
        select 1 from folders group by part having count(distinct folder) > 1 limit 1""",
        [table],
    ).fetchone()
    return row is not None
