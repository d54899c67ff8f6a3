"""The lake's past, taken away: deleted rows stay readable in old snapshots and in their files.

After :func:`purge_history` only the present can be read: no snapshot, no Parquet file, no bound of
a column and no page of a SQLite catalog holds a value of a row that was deleted before.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragdiag.errors import StoreBusy
from ragdiag.store.lake import Lake
from ragdiag.store.rollups import sum_rollups_whole
from ragdiag.store.upkeep.catalog_edits import empty_bounds
from ragdiag.store.upkeep.compact import announced_turn
from ragdiag.store.upkeep.durability import synced
from ragdiag.store.upkeep.plain_copies import upkeep_turn
from ragdiag.store.upkeep.sqlite_process import wipe_freed


@dataclass(frozen=True, slots=True)
class Purge:
    """Snapshots that expired, files that went, and names of snapshots that reports had given."""

    snapshots: int
    files: int
    broken: tuple[str, ...] = ()


def purge_history(lake: Lake) -> Purge:
    """Add up the sums by day, write files with deletions anew, empty the bounds of text columns,
    expire every snapshot but the newest, delete what only they needed, and overwrite what a SQLite
    catalog has freed.

    Who reads from an older snapshot meanwhile gets an error and has to read again. A catalog in
    PostgreSQL is left to its own vacuum.
    """
    with upkeep_turn(lake):
        broken = _drop_names(lake)
        with synced(lake):
            lake.write(sum_rollups_whole)
            with announced_turn(lake):
                lake.table("call ducklake_flush_inlined_data('lake')")
            lake.table("call ducklake_rewrite_data_files('lake', delete_threshold => 0)")
        lake.write(empty_bounds)
        expired = lake.table("call ducklake_expire_snapshots('lake', older_than => now())")
        cleaned = lake.table("call ducklake_cleanup_old_files('lake', cleanup_all => true)")
    _wipe_catalog(lake)
    return Purge(expired.num_rows, cleaned.num_rows, broken)


def _drop_names(lake: Lake) -> tuple[str, ...]:
    """Names that reports gave to snapshots: what they name is about to go."""
    there = lake.rows(
        "select 1 from duckdb_tables() "
        "where database_name = 'lake' and table_name = 'named_snapshots'"
    )
    if not there:
        return ()
    names = tuple(row["name"] for row in lake.rows("select name from named_snapshots order by 1"))
    lake.write(lambda cursor: cursor.execute("delete from named_snapshots"))
    return names


def _wipe_catalog(lake: Lake) -> None:
    path = lake.workspace.catalog
    why = wipe_freed(path) if path.is_file() else None
    if why is not None:
        raise StoreBusy(
            f"the freed pages of {path} could not be overwritten ({why})",
            remedy="run the same command again when other commands and the dashboard have stopped",
        )
