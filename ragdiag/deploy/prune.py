"""Old index builds leave the disk; what serves, what a rollback leads to and what is open stay.

A build goes behind the lock under which builds are published, is marked in the lake, renamed to
what a killed build leaves, and removed: killed at any point, the next call ends it.
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ragdiag.deploy.publish import publishing_turn
from ragdiag.errors import IndexFault
from ragdiag.retrieval.holding import unheld
from ragdiag.retrieval.manifest import MANIFEST
from ragdiag.retrieval.milvus.connection import connect
from ragdiag.retrieval.milvus.leftovers import drop_leftovers
from ragdiag.retrieval.serving import pointer_path, read_publications, standing, versions_by_index
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import latest_build, list_builds, mark_pruned

BUILD = re.compile(r"[0-9a-f]{12}")
LEFTOVER = re.compile(rf"\.{BUILD.pattern}\.[0-9a-f]{{32}}")

SETTLING = timedelta(minutes=1)
"""A folder of a build in the making is not held yet when it has only just been created."""


@dataclass
class PruneReport:
    """``builds`` and ``leftovers``: what went, name → bytes; ``kept``: build → why it stayed;
    ``collections`` were dropped from Milvus; ``faults`` say what could not be."""

    builds: dict[str, int] = field(default_factory=dict)
    leftovers: dict[str, int] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    collections: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def bytes_freed(self) -> int:
        return sum(self.builds.values()) + sum(self.leftovers.values())


def prune_builds(
    lake: Lake, workspace: Workspace, older_than: datetime, *, dry_run: bool = False
) -> PruneReport:
    """Remove builds made before ``older_than`` that nothing needs, what killed builds left, and the
    Milvus collections of both. With ``dry_run`` the report says what would go, and Milvus is not
    asked. Where it cannot be read what serves, the builds that may be meant stay. Raises StoreBusy.
    """
    report = PruneReport()
    if not workspace.indexes.is_dir():
        return report
    for folder in sorted(workspace.indexes.iterdir()):
        if BUILD.fullmatch(folder.name):
            _prune_build(lake, workspace, folder, older_than, report, dry_run)
    for folder in sorted(workspace.indexes.iterdir()):
        if LEFTOVER.fullmatch(folder.name) and _changed_at(folder) < datetime.now(UTC) - SETTLING:
            with unheld(folder) as free:
                if free:
                    report.leftovers[folder.name] = _remove(folder, dry_run)
    if not dry_run:
        _drop_collections(lake, workspace, report)
    return report


def _prune_build(
    lake: Lake,
    workspace: Workspace,
    folder: Path,
    older_than: datetime,
    report: PruneReport,
    dry_run: bool,
) -> None:
    index_key, built_at = _read(folder)
    with _turn(workspace, index_key), unheld(folder) as free:
        needed, unread = _needed(lake, workspace)
        why = needed.get(folder.name)
        if why is None and unread and index_key in {None, *unread}:
            why = unread.get(index_key or "", "what serves cannot be read, nor whose it is")
        if why is None and built_at >= older_than:
            why = "it is too young"
        if why is None and not free:
            why = "a process has it open"
        if why is not None:
            report.kept[folder.name] = why
            return
        leaving = folder
        if not dry_run:
            mark_pruned(lake, folder.name)
            leaving = folder.rename(folder.with_name(f".{folder.name}.{uuid.uuid4().hex}"))
    report.builds[folder.name] = _remove(leaving, dry_run)


def _needed(lake: Lake, workspace: Workspace) -> tuple[dict[str, str], dict[str, str]]:
    """Build → why it stays, of every index key: a candidate's is one like any other. And the index
    keys of which it cannot be read what serves → the fault."""
    pointers = pointer_path(workspace, "any").parent.glob("*.json")
    needed: dict[str, str] = {}
    unread: dict[str, str] = {}
    for key in versions_by_index(lake).keys() | {path.stem for path in pointers}:
        try:
            publications = read_publications(workspace, key)
        except IndexFault as fault:
            unread[key] = str(fault)
            continue
        if publications is None:
            newest = latest_build(lake, key)
            ids = [] if newest is None else [newest.build_id]
        else:
            ids = [one.build_id for one in reversed(standing(publications))]
        needed |= dict.fromkeys(ids[1:2], "a rollback leads to it")
        needed |= dict.fromkeys(ids[:1], "it serves")
    return needed, unread


def _read(folder: Path) -> tuple[str | None, datetime]:
    """A build's index key and when it was made; of one that cannot be read, when it changed."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return str(manifest["index_key"]), datetime.fromisoformat(manifest["built_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, _changed_at(folder)


@contextmanager
def _turn(workspace: Workspace, index_key: str | None) -> Iterator[None]:
    """Nobody publishes meanwhile; a build that cannot be read cannot be published."""
    if index_key is None:
        yield
        return
    with publishing_turn(workspace, index_key):
        yield


def _changed_at(folder: Path) -> datetime:
    return datetime.fromtimestamp(folder.stat().st_mtime, UTC)


def _remove(folder: Path, dry_run: bool) -> int:
    """The bytes of the files below ``folder``, which is gone then."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if not dry_run:
        shutil.rmtree(folder, ignore_errors=True)
    return size


def _drop_collections(lake: Lake, workspace: Workspace, report: PruneReport) -> None:
    """Ask every Milvus that a build of this workspace has used."""
    asked = set()
    for key, versions in versions_by_index(lake).items():
        spec = versions[0].spec.ann
        dense = [one.manifest.get("dense") or {} for one in list_builds(lake, key)]
        if not any("milvus" in one for one in dense) or (spec.uri, spec.token_env) in asked:
            continue
        asked.add((spec.uri, spec.token_env))
        try:
            report.collections += drop_leftovers(connect(spec, workspace), workspace)
        except IndexFault as fault:
            report.faults.append(str(fault))
