"""``store backup``: a consistent copy while services write, and only what the last one lacks.

The catalog is copied first (SQLite's own online copy), its older snapshots without a name are
expired in the copy, and then exactly the data files that the copy refers to are copied. They
never change, and upkeep that deletes files waits, so the two fit together whatever is written
meanwhile. The manifest is written last: a backup that was interrupted does not exist.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from ragdiag.configuration import read_configuration
from ragdiag.errors import DamagedFile, InputError, KeyMissing, StoreError
from ragdiag.privacy.encryption import is_encrypted
from ragdiag.privacy.keys import Keyring, keyring_for, workspace_keys
from ragdiag.progress import Progress, report
from ragdiag.settings import Workspace
from ragdiag.store.catalogs.extensions import connect
from ragdiag.store.catalogs.secrets import quoted
from ragdiag.store.disk import disk_faults
from ragdiag.store.lake import Lake
from ragdiag.store.upkeep.archive import archived_segments
from ragdiag.store.upkeep.aside import known_hashes, list_aside
from ragdiag.store.upkeep.backup_manifest import FORMAT, Entry, Manifest, write_manifest
from ragdiag.store.upkeep.compact import upkeep_turn
from ragdiag.store.upkeep.damage import REMEDY
from ragdiag.store.upkeep.datafiles import CATALOG, DataFile, Measured, list_files, measure
from ragdiag.store.upkeep.known_backups import KnownBackup, remember_backup
from ragdiag.store.upkeep.sealed import copy_in, measure_sealed, open_to_write
from ragdiag.store.upkeep.snapshots import snapshot_ids
from ragdiag.store.upkeep.sqlite_process import copy_database


@dataclass(frozen=True, slots=True)
class BackupReport:
    """``copied`` of ``files`` files were not in the folder yet; bytes are plain ones."""

    backup: str
    directory: str
    snapshot: int
    named: tuple[str, ...]
    files: int
    copied: int
    bytes: int
    bytes_copied: int
    left_out: tuple[str, ...]


def backup_store(
    lake: Lake,
    workspace: Workspace,
    directory: Path,
    *,
    spool: bool = False,
    progress: Progress | None = None,
) -> BackupReport:
    """Copy the lake's newest snapshot and the named ones into ``directory``.

    ``spool`` adds finished segments that wait and the archive. Raises DamagedFile where a file
    that the present needs is not whole (set aside ones are left out and named), StoreFull where
    the disk is full; an earlier backup in the folder stays usable either way.
    """
    if directory.resolve().is_relative_to(workspace.catalog.parent.resolve()):
        raise InputError(
            f"{directory} lies in the lake itself", remedy="name a folder outside of it"
        )
    seal = keyring_for(read_configuration(workspace).privacy, "backups")
    with upkeep_turn(lake), _work_folder(directory) as work:
        waiting = _copy_spool(workspace, directory, seal) if spool else []
        now = datetime.now(UTC)
        catalog = copy_catalog(workspace, work / "catalog.sqlite")
        pruned = _prune(catalog, workspace)
        backed = _back_up_files(lake, pruned.files, directory, seal, progress)
        name = f"{now:%Y%m%dT%H%M%S%f}Z-{pruned.snapshot}"
        configured = workspace.configuration.is_file()
        manifest = Manifest(
            format=FORMAT,
            backup=name,
            made_at=now.isoformat(timespec="seconds"),
            snapshot=pruned.snapshot,
            named=pruned.named,
            catalog=_put(directory, f"catalogs/{name}.sqlite", catalog, seal),
            files=[entry for entry, _ in backed],
            left_out=sorted(
                {file.name for file in pruned.files}
                - {entry.name.removeprefix("files/") for entry, _ in backed}
            ),
            spool=waiting,
            archive=_copy_archive(workspace, directory, seal) if spool else [],
            configuration=_put(
                directory, f"configurations/{name}.toml", workspace.configuration, seal
            )
            if configured
            else None,
        )
        write_manifest(directory, manifest)
    place = str(directory.resolve())
    remember_backup(workspace, KnownBackup(place, name, pruned.snapshot, manifest.made_at))
    report(progress, 1.0, "backed up")
    copied = [entry.bytes for entry, fresh in backed if fresh]
    return BackupReport(
        backup=name,
        directory=place,
        snapshot=pruned.snapshot,
        named=tuple(pruned.named),
        files=len(backed),
        copied=len(copied),
        bytes=sum(entry.bytes for entry, _ in backed),
        bytes_copied=sum(copied),
        left_out=tuple(manifest.left_out),
    )


def copy_catalog(workspace: Workspace, target: Path) -> Path:
    """The SQLite catalog as it is at one moment, while others write to it.

    StoreError for a catalog of another kind: its own server's backup is the right copy.
    """
    if not workspace.catalog.is_file():
        raise StoreError(
            "the catalog is not a SQLite file of this workspace",
            remedy="back it up with its server's own tool (pg_dump), then copy the data path",
        )
    os.close(os.open(target, os.O_CREAT | os.O_RDWR, 0o600))
    fault = copy_database(workspace.catalog, target)
    if fault is not None:
        with disk_faults(target):
            raise OSError(errno.ENOSPC if "full" in fault else errno.EIO, fault)
    return target


@dataclass(frozen=True, slots=True)
class _Pruned:
    snapshot: int
    named: dict[str, int]
    files: list[DataFile]


def _prune(catalog: Path, workspace: Workspace) -> _Pruned:
    """Expire, in the copied catalog, what is neither the newest snapshot nor a named one; the
    newest, the named ones and the files that are left. No data file is touched."""
    with closing(connect(workspace)) as connection, connection.cursor() as cursor:
        table = read_configuration(workspace).lake
        options = [f"data_path {quoted(table.data_path or str(workspace.lake_data))}"]
        options += ["encrypted"] if table.encrypted else []
        cursor.execute(
            f"attach {quoted(f'ducklake:sqlite:{catalog}')} as lake "
            f"({', '.join(options)}, override_data_path true)"
        )
        cursor.execute("use lake")
        there = snapshot_ids(cursor)
        named = dict(cursor.execute("select name, snapshot_id from named_snapshots").fetchall())
        gone = sorted(set(there) - {there[-1], *named.values()})
        if gone:
            cursor.execute(
                f"select count(*) from (select snapshot_id from "
                f"ducklake_expire_snapshots('lake', versions => {gone}))"
            ).fetchall()
        cursor.execute(f"delete from {CATALOG}.ducklake_files_scheduled_for_deletion")
        files = list_files(cursor)
    with closing(sqlite3.connect(catalog)) as copied:
        copied.execute("pragma wal_checkpoint(truncate)")
        copied.execute("vacuum")
    return _Pruned(there[-1], named, files)


def _back_up_files(
    lake: Lake,
    files: list[DataFile],
    directory: Path,
    seal: Keyring | None,
    progress: Progress | None,
) -> list[tuple[Entry, bool]]:
    """Entry and whether it had to be copied, for every file that is not set aside."""
    aside = {one.name for one in list_aside(lake)}
    hashes = dict(lake.read(known_hashes))
    backed = []
    for number, file in enumerate(files):
        report(progress, number / len(files), f"back up {file.name}")
        if file.name not in aside:
            backed.append(_back_up(lake, file, directory, seal, hashes.get(file.name)))
    return backed


def _back_up(
    lake: Lake, file: DataFile, directory: Path, seal: Keyring | None, known: str | None
) -> tuple[Entry, bool]:
    """The file's entry, and whether it had to be copied."""
    target = directory / "files" / file.name
    there = _measure(target, lake.workspace, seal)
    if there is not None and there.bytes == file.bytes:
        whole = known or _hash(lake, file)
        if there.sha256 == whole:
            return Entry.of(f"files/{file.name}", there), False
    if "://" in file.path:
        found = _fetch(lake, file, target, seal)
    elif Path(file.path).is_file():
        found = copy_in(Path(file.path), target, seal)
    else:
        raise DamagedFile(f"the data file {file.path} is missing", remedy=REMEDY)
    if found.bytes != file.bytes or (known is not None and found.sha256 != known):
        target.unlink(missing_ok=True)
        raise DamagedFile(f"the data file {file.path} has changed", remedy=REMEDY)
    return Entry.of(f"files/{file.name}", found), True


def _hash(lake: Lake, file: DataFile) -> str | None:
    found = lake.read(lambda cursor: measure(cursor, file.path))
    return None if found is None else found.sha256


def _fetch(lake: Lake, file: DataFile, target: Path, seal: Keyring | None) -> Measured:
    """A file of an object store, through DuckDB, which knows how to reach it."""

    def content(cursor: duckdb.DuckDBPyConnection) -> bytes:
        row = cursor.execute("select content from read_blob(?)", [file.path]).fetchone()
        if row is None:
            raise DamagedFile(f"the data file {file.path} is missing", remedy=REMEDY)
        return bytes(row[0])

    plain = lake.read(content)
    with open_to_write(target, seal) as stream:
        stream.write(plain)
    return Measured(len(plain), hashlib.sha256(plain).hexdigest())


def _put(
    directory: Path,
    name: str,
    source: Path,
    seal: Keyring | None,
    keys: Keyring | None = None,
) -> Entry:
    return Entry.of(name, copy_in(source, directory / name, seal, keys))


def _measure(path: Path, workspace: Workspace, seal: Keyring | None) -> Measured | None:
    """As :func:`measure_sealed`; a copy whose key is gone, or that is to be encrypted and is not,
    is made again."""
    try:
        found = measure_sealed(path, workspace_keys(workspace))
    except KeyMissing:
        return None
    return None if found and seal is not None and not is_encrypted(path) else found


def _copy_spool(workspace: Workspace, directory: Path, seal: Keyring | None) -> list[Entry]:
    """Segments that wait; before the catalog, so that one which is loaded meanwhile is in both."""
    entries = []
    for path in sorted(workspace.spool.glob("*.jsonl")):
        try:
            entries.append(_put(directory, f"spool/{path.name}", path, seal))
        except StoreError:
            if path.exists():
                raise
    return entries


def _copy_archive(workspace: Workspace, directory: Path, seal: Keyring | None) -> list[Entry]:
    """What is encrypted in the archive is encrypted in the backup too."""
    entries = []
    keys = workspace_keys(workspace)
    for path in archived_segments(workspace).values():
        name = f"archive/{path.name}"
        kept = seal or (keys if is_encrypted(path) else None)
        there = _measure(directory / name, workspace, kept)
        same = there is not None and there == measure_sealed(path, keys)
        entries.append(
            Entry.of(name, there) if same and there else _put(directory, name, path, kept, keys)
        )
    return entries


@contextmanager
def _work_folder(directory: Path) -> Iterator[Path]:
    with disk_faults(directory):
        directory.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".work-", dir=directory))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
