"""What an unfinished forgetting has still to look for: the rows that told are deleted first.

A file for each pseudonym in ``secrets/forgetting``, mode 0600, encrypted where the workspace has a
key. It holds the user's texts, so it goes as soon as a search finds them nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from ragdiag.privacy.keys import workspace_keys
from ragdiag.settings import Workspace
from ragdiag.store.disk import disk_faults, sync
from ragdiag.store.upkeep.forgotten import user_tombstone
from ragdiag.store.upkeep.sealed import open_to_read, open_to_write
from ragdiag.store.upkeep.user_traces import UserTraces, join_traces

FOLDER = "secrets/forgetting"


def keep_targets(workspace: Workspace, traces: UserTraces) -> None:
    """Keep ``traces`` for each of its pseudonyms, in place of what was kept; durable on return."""
    keys = workspace_keys(workspace)
    folder = workspace.root / FOLDER
    with disk_faults(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for key in traces.keys:
        with open_to_write(_file(workspace, key), keys if keys.keys else None) as stream:
            stream.write(json.dumps(asdict(traces), default=datetime.isoformat).encode())
    with disk_faults(folder):
        sync(folder)
        sync(folder.parent)


def kept_targets(workspace: Workspace, keys: Iterable[str]) -> UserTraces:
    """What is kept for these pseudonyms, joined. Raises KeyMissing, StoreError."""
    files = [path for key in keys if (path := _file(workspace, key)).is_file()]
    return join_traces([_read(workspace, path) for path in files])


def is_unfinished(workspace: Workspace) -> bool:
    """Whether something is kept of anybody."""
    return any((workspace.root / FOLDER).glob("[0-9a-f]*"))


def unfinished_keys(workspace: Workspace) -> set[str]:
    """The pseudonyms for which something is kept. Raises KeyMissing, StoreError."""
    files = (workspace.root / FOLDER).glob("[0-9a-f]*")
    return {key for path in files for key in _read(workspace, path).keys}


def drop_targets(workspace: Workspace, keys: Collection[str]) -> None:
    """Keep nothing for these pseudonyms any more, nor what a killed process had begun to write."""
    for path in (_file(workspace, key) for key in keys):
        with disk_faults(path):
            for gone in (path, *path.parent.glob(f".{path.name}.*")):
                gone.unlink(missing_ok=True)


def _file(workspace: Workspace, key: str) -> Path:
    return workspace.root / FOLDER / user_tombstone(workspace, key)


def _read(workspace: Workspace, path: Path) -> UserTraces:
    with open_to_read(path, workspace_keys(workspace)) as stream:
        kept = json.load(stream)
    since = kept.pop("since")
    lists = {name: tuple(values) for name, values in kept.items()}
    return UserTraces(**lists, since=None if since is None else datetime.fromisoformat(since))
