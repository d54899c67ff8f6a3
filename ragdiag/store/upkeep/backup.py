"""``store backup``: a consistent copy while services write, and only what the last one lacks.

The catalog is copied into the workspace first (backup_catalog.py, plain_copies.py), its older
snapshots without a name are expired in the copy, and then exactly the data files that the copy
refers to are copied (backup_files.py), and the copy itself, encrypted where backups are.
They never change, and upkeep that deletes files waits, on whichever machine, so the two fit
together whatever is written meanwhile. The manifest is written last: a backup that was interrupted
does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ragdiag.configuration import read_configuration
from ragdiag.errors import InputError
from ragdiag.privacy.keys import keyring_for
from ragdiag.progress import Progress, report
from ragdiag.settings import Workspace
from ragdiag.store.disk import disk_faults
from ragdiag.store.lake import Lake
from ragdiag.store.upkeep.backup_catalog import copy_catalog
from ragdiag.store.upkeep.backup_files import back_up_files, copy_archive, copy_spool, put
from ragdiag.store.upkeep.backup_manifest import FORMAT, Manifest, write_manifest
from ragdiag.store.upkeep.known_backups import KnownBackup, remember_backup
from ragdiag.store.upkeep.plain_copies import remove_old_work, upkeep_turn, work_folder


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
    _refuse_lake(workspace, directory)
    seal = keyring_for(read_configuration(workspace).privacy, "backups")
    with upkeep_turn(lake), work_folder(workspace) as work:
        _open_folder(directory)
        waiting = copy_spool(workspace, directory, seal) if spool else []
        now = datetime.now(UTC)
        catalog = copy_catalog(workspace, work / "catalog.sqlite")
        backed = back_up_files(lake, catalog.files, directory, seal, progress)
        name = f"{now:%Y%m%dT%H%M%S%f}Z-{catalog.snapshot}"
        configured = workspace.configuration.is_file()
        stored = [entry for entry, _ in backed]
        manifest = Manifest(
            format=FORMAT,
            backup=name,
            made_at=now.isoformat(timespec="seconds"),
            snapshot=catalog.snapshot,
            named=catalog.named,
            catalog=put(directory, f"catalogs/{name}.sqlite", catalog.path, seal),
            files=stored,
            left_out=sorted(
                {file.name for file in catalog.files}
                - {entry.name.removeprefix("files/") for entry in stored}
            ),
            spool=waiting,
            archive=copy_archive(workspace, directory, seal) if spool else [],
            configuration=put(
                directory, f"configurations/{name}.toml", workspace.configuration, seal
            )
            if configured
            else None,
        )
        write_manifest(directory, manifest)
    known = KnownBackup(str(directory.resolve()), name, manifest.snapshot, manifest.made_at)
    remember_backup(workspace, known)
    report(progress, 1.0, "backed up")
    return _report(known, manifest, [entry.bytes for entry, fresh in backed if fresh])


def _report(known: KnownBackup, manifest: Manifest, copied: list[int]) -> BackupReport:
    return BackupReport(
        backup=known.backup,
        directory=known.directory,
        snapshot=manifest.snapshot,
        named=tuple(manifest.named),
        files=len(manifest.files),
        copied=len(copied),
        bytes=sum(entry.bytes for entry in manifest.files),
        bytes_copied=sum(copied),
        left_out=tuple(manifest.left_out),
    )


def _refuse_lake(workspace: Workspace, directory: Path) -> None:
    """Clean-up would take a backup among the lake's own files for orphans of it, and a restore
    moves what it finds in the workspace aside."""
    if directory.resolve() == workspace.root.resolve():
        raise InputError(
            f"{directory} is the workspace itself, with which a backup in it would be lost",
            remedy="name a folder outside of it, best on another disk",
        )
    data = read_configuration(workspace).lake.data_path or str(workspace.lake_data)
    for place in (workspace.catalog.parent, Path(data)):
        if directory.resolve().is_relative_to(place.resolve()):
            raise InputError(
                f"{directory} lies in the lake itself", remedy="name a folder outside of it"
            )


def _open_folder(directory: Path) -> None:
    with disk_faults(directory):
        directory.mkdir(parents=True, exist_ok=True)
    remove_old_work(directory)
