"""Data files made to survive a power cut.

DuckDB writes them without fsync, while a SQLite catalog syncs every commit: a moment later the
catalog may name a file of which the disk has nothing. So whoever is about to give up another copy
of the rows (a segment, an older file) syncs the files first. An object store keeps what it has
taken, and rows that lie in the catalog are as durable as it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from ragdiag.store.disk import disk_faults, sync
from ragdiag.store.lake import Lake
from ragdiag.store.upkeep.datafiles import CATALOG, data_path, list_files


@contextmanager
def synced(lake: Lake) -> Iterator[None]:
    """Data files written within are durable on return. Raises StoreError."""
    first = lake.read(next_file)
    yield
    sync_files(lake, first)


def next_file(cursor: duckdb.DuckDBPyConnection) -> int:
    """The number that the next file of data or of deletions gets at least."""
    row = cursor.execute(f"select max(next_file_id) from {CATALOG}.ducklake_snapshot").fetchone()
    return int(row[0]) if row else 0


def sync_files(lake: Lake, first: int = 0) -> int:
    """Sync every listed file from number ``first`` on, and the folders that name it; returns how
    many there were. Raises StoreError."""
    place = lake.read(data_path)
    if "://" in place:
        return 0
    files = [Path(file.path) for file in lake.read(lambda cursor: list_files(cursor, first=first))]
    base = Path(place).parent
    for path in files:
        # Whoever has replaced it meanwhile has synced what took its place.
        with disk_faults(path), suppress(FileNotFoundError):
            sync(path)
    folders = {up for path in files for up in path.parents if up.is_relative_to(base)}
    for folder in sorted(folders, reverse=True):
        with disk_faults(folder):
            sync(folder)
    return len(files)
