"""The files of a backup: what the folder has whole already is not copied again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb

from ragdiag.errors import DamagedFile, KeyMissing, StoreError
from ragdiag.privacy.encryption import is_encrypted
from ragdiag.privacy.keys import Keyring, workspace_keys
from ragdiag.progress import Progress, report
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.upkeep.archive import archived_segments
from ragdiag.store.upkeep.aside import known_hashes, list_aside
from ragdiag.store.upkeep.backup_manifest import Entry
from ragdiag.store.upkeep.damage import REMEDY
from ragdiag.store.upkeep.datafiles import DataFile, Measured, measure
from ragdiag.store.upkeep.sealed import copy_in, measure_sealed, open_to_write


def back_up_files(
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


def put(
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


def copy_spool(workspace: Workspace, directory: Path, seal: Keyring | None) -> list[Entry]:
    """Segments that wait; before the catalog, so that one which is loaded meanwhile is in both."""
    entries = []
    for path in sorted(workspace.spool.glob("*.jsonl")):
        try:
            entries.append(put(directory, f"spool/{path.name}", path, seal))
        except StoreError:
            if path.exists():
                raise
    return entries


def copy_archive(workspace: Workspace, directory: Path, seal: Keyring | None) -> list[Entry]:
    """What is encrypted in the archive is encrypted in the backup too."""
    entries = []
    keys = workspace_keys(workspace)
    for path in archived_segments(workspace).values():
        name = f"archive/{path.name}"
        kept = seal or (keys if is_encrypted(path) else None)
        there = _measure(directory / name, workspace, kept)
        same = there is not None and there == measure_sealed(path, keys)
        entries.append(
            Entry.of(name, there) if same and there else put(directory, name, path, kept, keys)
        )
    return entries
