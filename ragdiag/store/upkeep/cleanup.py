"""Files that nothing needs: those that compaction replaced, and those of writers that died."""

from __future__ import annotations

from typing import Any

import duckdb

from ragdiag.errors import StoreError
from ragdiag.store.lake import Lake
from ragdiag.store.upkeep.datafiles import CATALOG, list_files

ORPHAN_GRACE_S = 86_400.0
"""How old a file that the catalog does not know must be: younger ones may be about to commit."""


def delete_old_files(lake: Lake, grace_s: float) -> int:
    """Delete files that no snapshot has needed for ``grace_s`` seconds. DuckLake's own
    ``older_than`` compares years only where the catalog is SQLite, so younger files leave its list
    for the moment; dying in that moment makes orphans of them, which a later run deletes."""
    scheduled = f"{CATALOG}.ducklake_files_scheduled_for_deletion"

    def hold_back(cursor: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        young = f"schedule_start::timestamptz > now() - to_seconds({grace_s})"
        columns = "data_file_id, path, path_is_relative, schedule_start::varchar"
        kept = cursor.execute(f"select {columns} from {scheduled} where {young}").fetchall()
        for row in kept:
            cursor.execute(f"delete from {scheduled} where data_file_id = ?", [row[0]])
        return kept

    def list_again(cursor: duckdb.DuckDBPyConnection) -> None:
        for row in kept:
            cursor.execute(f"insert into {scheduled} values (?, ?, ?, ?)", list(row))

    with lake.turn():
        kept = lake.transact(hold_back)
        try:
            return len(
                lake.rows(
                    "select path from ducklake_cleanup_old_files('lake', cleanup_all => true)"
                )
            )
        finally:
            lake.transact(list_again)


def find_orphans(lake: Lake, older_than_s: float) -> list[str]:
    """Files below the data path that no snapshot and no scheduled deletion knows."""
    return [row["path"] for row in lake.rows(_orphan_sql(older_than_s, dry_run=True))]


def delete_orphans(lake: Lake, grace_s: float) -> int:
    """DuckLake's list is compared with the catalog before it may delete: it has taken live files
    for orphans before (duckdb/ducklake#815)."""
    with lake.turn():
        listed = find_orphans(lake, grace_s)
        live = {file.path for file in lake.read(list_files)} & set(listed)
        if live:
            raise StoreError(
                f"{min(live)} would be deleted as an orphan although the catalog {CATALOG} has it",
                remedy="nothing was deleted: report it",
            )
        return len(lake.rows(_orphan_sql(grace_s, dry_run=False))) if listed else 0


def _orphan_sql(older_than_s: float, *, dry_run: bool) -> str:
    return (
        f"select path from ducklake_delete_orphaned_files('lake', dry_run => {dry_run}, "
        f"older_than => now() - to_seconds({older_than_s}))"
    )
