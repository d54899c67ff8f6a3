"""``store restore``: a backup becomes the workspace's lake again, once all of it has been verified.

The lake that was there is moved aside, never deleted. Segments that were archived after the
backup go back into the spool, so the next ingest brings the restored lake up to date.
"""

from __future__ import annotations

import time
import tomllib
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ragdiag.backends import LakeTable
from ragdiag.configuration import read_configuration
from ragdiag.errors import InputError, StoreError
from ragdiag.privacy.keys import Keyring, keyring_for, workspace_keys
from ragdiag.progress import Progress, part, report
from ragdiag.settings import Workspace
from ragdiag.store.disk import disk_faults
from ragdiag.store.lake import PATIENCE_S, close_lakes, open_lake
from ragdiag.store.locks import locked
from ragdiag.store.upkeep.archive import return_unloaded
from ragdiag.store.upkeep.backup_manifest import Entry, Manifest, read_manifest
from ragdiag.store.upkeep.known_backups import KnownBackup, list_backups, remember_backup
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
    """Make the backup (the newest of ``directory``) the lake of ``workspace``.

    Every hash is verified before anything is written, and again as it is written. Raises
    InputError where there is a lake and ``force`` is not given, StoreError where a file of the
    backup is missing or changed; the workspace is as before then. Stop services that ingest.
    """
    if _is_elsewhere(read_configuration(workspace).lake):
        raise InputError(
            f"{workspace.configuration} keeps the lake on a server or in a bucket",
            remedy="restore into a workspace without that: a restored lake is a local one",
        )
    if workspace.catalog.is_file() and not force:
        raise InputError(
            f"there is a lake in {workspace.root}",
            remedy="name an empty workspace (--workspace), or give --force: the lake that is there "
            "is moved aside",
        )
    manifest = read_manifest(directory, backup)
    keys = workspace_keys(workspace)
    _verify(directory, manifest.entries, keys, part(progress, 0.0, 0.4))
    fresh = workspace.root / "lake.restoring"
    _write_lake(directory, manifest, fresh, keys, part(progress, 0.4, 0.9))
    moved = _swap(workspace, fresh)
    _write_rest(directory, manifest, workspace)
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


def _verify(directory: Path, entries: list[Entry], keys: Keyring, progress: Progress) -> None:
    for number, entry in enumerate(entries):
        report(progress, number / len(entries), f"verify {entry.name}")
        found = measure_sealed(directory / entry.name, keys)
        if found != entry.measured:
            raise StoreError(
                f"the backup's file {directory / entry.name} is "
                f"{'missing' if found is None else 'changed'}",
                remedy="choose another backup with --backup; nothing was restored",
            )


def _write_lake(
    directory: Path, manifest: Manifest, fresh: Path, keys: Keyring, progress: Progress
) -> None:
    """The lake's folder beside the one in use. What an interrupted restore left is overwritten."""
    places = {manifest.catalog: fresh / "catalog.sqlite"}
    places |= {
        entry: fresh / "data" / entry.name.removeprefix("files/") for entry in manifest.files
    }
    for number, (entry, target) in enumerate(places.items()):
        report(progress, number / len(places), f"restore {entry.name}")
        if measure_sealed(target) == entry.measured:
            continue
        if copy_out(directory / entry.name, target, keys) != entry.measured:
            raise StoreError(
                f"{target} did not become what the backup says",
                remedy="nothing was restored: check the disk and run this again",
            )


def _swap(workspace: Workspace, fresh: Path) -> Path | None:
    """Put ``fresh`` in the place of the lake; where the old one went, if there was one."""
    live = workspace.catalog.parent
    moved = None
    close_lakes(workspace)
    with disk_faults(live), ExitStack() as stack:
        if live.exists():
            stack.enter_context(locked(live / "write.lock", time.monotonic() + PATIENCE_S))
            moved = workspace.root / f"lake.before-{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z"
            live.rename(moved)
        fresh.rename(live)
    return moved


def _write_rest(directory: Path, manifest: Manifest, workspace: Workspace) -> None:
    """Segments and configuration; what the workspace has is left as it is."""
    targets = {entry: workspace.spool / Path(entry.name).name for entry in manifest.spool}
    targets |= {
        entry: workspace.spool / "archive" / Path(entry.name).name for entry in manifest.archive
    }
    if manifest.configuration is not None:
        targets[manifest.configuration] = _configuration_place(directory, manifest, workspace)
    keys = workspace_keys(workspace)
    seal = keyring_for(read_configuration(workspace).privacy, "archive")
    for entry, target in targets.items():
        if not target.exists():
            kept = seal if entry in manifest.archive else None
            copy_out(directory / entry.name, target, keys, kept)


def _configuration_place(directory: Path, manifest: Manifest, workspace: Workspace) -> Path:
    """``ragdiag.toml``; a name beside it where the backup's says that its data are in a bucket,
    since those of the restored lake are here."""
    assert manifest.configuration is not None
    with open_to_read(directory / manifest.configuration.name, workspace_keys(workspace)) as stream:
        elsewhere = "data_path" in tomllib.loads(stream.read().decode()).get("lake", {})
    aside = workspace.configuration.with_name("ragdiag.toml.of-backup")
    return aside if elsewhere else workspace.configuration


def _is_elsewhere(table: LakeTable) -> bool:
    return table.data_path is not None or table.postgres is not None
