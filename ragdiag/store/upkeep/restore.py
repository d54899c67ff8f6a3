"""``store restore``: a backup becomes the workspace's lake again, once all of it has been verified.

The lake that was there is moved aside, never deleted. Segments that were archived after the
backup go back into the spool, so the next ingest brings the restored lake up to date.
"""

from __future__ import annotations

import shutil
import sqlite3
import tomllib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ragdiag.configuration import read_configuration
from ragdiag.errors import InputError, StoreError
from ragdiag.privacy.keys import Keyring, keyring_for, workspace_keys
from ragdiag.progress import Progress, part, report
from ragdiag.settings import Workspace
from ragdiag.store.lake import open_lake
from ragdiag.store.upkeep.archive import return_unloaded
from ragdiag.store.upkeep.backup_manifest import Manifest, read_manifest
from ragdiag.store.upkeep.known_backups import KnownBackup, list_backups, remember_backup
from ragdiag.store.upkeep.restored_elsewhere import configured_place
from ragdiag.store.upkeep.restored_here import CATALOG, refuse_occupied, swap_lake, write_beside
from ragdiag.store.upkeep.sealed import copy_out, measure_sealed, open_to_read


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """``moved_to`` is where the lake that was there is now; ``to_ingest`` the segments that wait
    in the spool because the restored lake does not have them."""

    backup: str
    snapshot: int
    files: int
    bytes: int
    moved_to: str | None
    to_ingest: int


def restore_store(
    workspace: Workspace,
    directory: Path,
    *,
    backup: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> RestoreReport:
    """Make the backup (the newest of ``directory``) the lake of ``workspace``, in the place that
    its configuration names.

    Every hash is verified before anything is written, and again as it is written. Raises
    InputError where there is a lake and ``force`` is not given, StoreError where a file of the
    backup is missing or changed; the workspace is as before then. Stop services that ingest.
    """
    keys = workspace_keys(workspace)
    restore = _restore_here if read_configuration(workspace).lake.data_path is None else _elsewhere
    manifest, moved = restore(workspace, directory, backup, force, keys, progress)
    _write_segments(directory, manifest, workspace, keys)
    lake = open_lake(workspace)
    return_unloaded(lake, workspace)
    known = KnownBackup(
        str(directory.resolve()), manifest.backup, manifest.snapshot, manifest.made_at
    )
    if known not in list_backups(workspace):
        remember_backup(workspace, known)
    report(progress, 1.0, "restored")
    return RestoreReport(
        manifest.backup,
        manifest.snapshot,
        len(manifest.files),
        sum(entry.bytes for entry in manifest.files),
        None if moved is None else str(moved),
        len(list(workspace.spool.glob("*.jsonl"))),
    )


def _restore_here(
    workspace: Workspace,
    directory: Path,
    backup: str | None,
    force: bool,
    keys: Keyring,
    progress: Progress | None,
) -> tuple[Manifest, Path | None]:
    """What was restored, and where the lake that was there is now."""
    refuse_occupied(workspace, force=force)
    fresh = _beside(workspace)
    manifest = _verified(workspace, directory, backup, keys, part(progress, 0.0, 0.4))
    entries = [manifest.catalog, *manifest.files]
    write_beside(directory, entries, fresh, keys, part(progress, 0.4, 0.9))
    _refuse_unencrypted(workspace)
    return manifest, swap_lake(workspace, fresh)


def _elsewhere(
    workspace: Workspace,
    directory: Path,
    backup: str | None,
    force: bool,
    keys: Keyring,
    progress: Progress | None,
) -> tuple[Manifest, None]:
    fresh = _beside(workspace)
    with configured_place(workspace) as place:
        place.refuse_occupied(force=force)
        manifest = _verified(workspace, directory, backup, keys, part(progress, 0.0, 0.4))
        write_beside(directory, [manifest.catalog], fresh, keys)
        _refuse_unencrypted(workspace)
        place.put_files(directory, manifest, keys, part(progress, 0.4, 0.9))
        place.put_catalog(fresh / CATALOG)
    shutil.rmtree(fresh)
    return manifest, None


def _beside(workspace: Workspace) -> Path:
    return workspace.root / "lake.restoring"


def _verified(
    workspace: Workspace, directory: Path, backup: str | None, keys: Keyring, progress: Progress
) -> Manifest:
    """The manifest, once all that it lists is there and whole; the workspace has the configuration
    then that says how the rest is to be written."""
    manifest = read_manifest(directory, backup)
    for number, entry in enumerate(manifest.entries):
        report(progress, number / len(manifest.entries), f"verify {entry.name}")
        found = measure_sealed(directory / entry.name, keys)
        if found != entry.measured:
            raise StoreError(
                f"the backup's file {directory / entry.name} is "
                f"{'missing' if found is None else 'changed'}",
                remedy="choose another backup with --backup; nothing was restored",
            )
    _write_configuration(directory, manifest, workspace, keys)
    # A key that is missing is told before anything else is written.
    keyring_for(read_configuration(workspace).privacy, "archive")
    return manifest


def _write_configuration(
    directory: Path, manifest: Manifest, workspace: Workspace, keys: Keyring
) -> None:
    """``ragdiag.toml`` where there is none; beside it where the backup's says that its data are
    elsewhere, since those of the restored lake go where this workspace's says."""
    entry = manifest.configuration
    if entry is None:
        return
    with open_to_read(directory / entry.name, keys) as stream:
        elsewhere = "data_path" in tomllib.loads(stream.read().decode()).get("lake", {})
    aside = workspace.configuration.with_name("ragdiag.toml.of-backup")
    target = aside if elsewhere else workspace.configuration
    if not target.exists():
        copy_out(directory / entry.name, target, keys)


def _refuse_unencrypted(workspace: Workspace) -> None:
    """Raises InputError where the lake is not encrypted and the configuration says it is."""
    with closing(sqlite3.connect(_beside(workspace) / CATALOG)) as database:
        (said,) = database.execute(
            "select max(value) from ducklake_metadata where key = 'encrypted'"
        ).fetchone()
    if said != "true" and read_configuration(workspace).lake.encrypted:
        raise InputError(
            "the lake in the backup is not encrypted, which never changes",
            remedy=f"write encrypted = false under [lake] in {workspace.configuration}; nothing "
            "was restored",
        )


def _write_segments(
    directory: Path, manifest: Manifest, workspace: Workspace, keys: Keyring
) -> None:
    """What the workspace has is left as it is."""
    seal = keyring_for(read_configuration(workspace).privacy, "archive")
    for entry in manifest.spool:
        _write_segment(directory / entry.name, workspace.spool, keys, None)
    for entry in manifest.archive:
        _write_segment(directory / entry.name, workspace.spool / "archive", keys, seal)


def _write_segment(source: Path, folder: Path, keys: Keyring, seal: Keyring | None) -> None:
    if not (folder / source.name).exists():
        copy_out(source, folder / source.name, keys, seal)
