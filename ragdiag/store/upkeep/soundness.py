"""Every data file against what is known of it: there, of its size, with its hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from ragdiag.errors import StoreError
from ragdiag.progress import Progress, report
from ragdiag.store.lake import Lake
from ragdiag.store.tables import insert
from ragdiag.store.times import now_utc
from ragdiag.store.upkeep.aside import known_hashes
from ragdiag.store.upkeep.damage import fault_of
from ragdiag.store.upkeep.datafiles import DataFile, list_files, measure


@dataclass(frozen=True, slots=True)
class Damage:
    file: DataFile
    fault: str


def examine_files(
    lake: Lake, progress: Progress | None = None
) -> tuple[list[Damage], list[DataFile]]:
    """The damaged files, and all that were looked at.

    A file seen for the first time is read whole (decrypted and decoded); if that succeeds its
    SHA-256 is kept, and from then on any changed byte is found by hashing alone.
    """
    files = lake.read(list_files)
    try:
        known = dict(lake.read(known_hashes))
    except StoreError:  # the hashes themselves are damaged; the walk below names their file
        known = {}
    total = sum(file.bytes for file in files) or 1
    damaged, sound, done = [], [], 0
    for file in files:
        report(progress, done / total, f"check {file.name}")
        fault = lake.read(
            lambda cursor, file=file: fault_of(cursor, file, known=known.get(file.name))  # type: ignore[misc]
        )
        if fault is None and file.name not in known:
            sound.append(file)
        if fault is not None and file not in lake.read(list_files):
            fault = None  # compaction removed it meanwhile
        if fault is not None:
            damaged.append(Damage(file, fault))
        done += file.bytes
    record_hashes(lake, sound)
    return damaged, files


def record_hashes(lake: Lake, files: Sequence[DataFile]) -> None:
    """Keep the SHA-256 of files that are whole now; those that are gone meanwhile are left out."""
    rows = []
    for file in files:
        found = lake.read(lambda cursor, file=file: measure(cursor, file.path))  # type: ignore[misc]
        if found is not None and found.bytes == file.bytes:
            rows.append(
                {
                    "name": file.name,
                    "bytes": found.bytes,
                    "sha256": found.sha256,
                    "hashed_at": now_utc(),
                }
            )
    if rows:
        lake.write(lambda cursor: insert(cursor, "file_hashes", rows))


def forget_hashes(lake: Lake) -> None:
    """Drop the hashes of files that the catalog no longer lists."""

    def forget(cursor: duckdb.DuckDBPyConnection) -> None:
        names = [file.name for file in list_files(cursor)]
        stale = cursor.execute(
            "select count(*) from file_hashes where name not in (select unnest(?::varchar[]))",
            [names],
        ).fetchone()
        if stale and stale[0]:
            cursor.execute(
                "delete from file_hashes where name not in (select unnest(?::varchar[]))", [names]
            )

    lake.write(forget)
