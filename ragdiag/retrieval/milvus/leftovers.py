"""Collections that no build names any more: those of killed builds and of builds that were removed.

A Milvus may serve many workspaces, and a copy of a workspace names the same collections. So a
collection bears its owner's mark, which a copy elsewhere does not share, and only the owner's are
ever dropped.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ragdiag.errors import IndexFault
from ragdiag.retrieval.manifest import MANIFEST
from ragdiag.retrieval.milvus.connection import Connection
from ragdiag.settings import Workspace
from ragdiag.store.locks import try_lock

_OWNER, _LOCK = ".milvus-owner", ".milvus-lock"


def new_collection(workspace: Workspace, build_id: str) -> str:
    """A name for a collection that does not exist yet. Two builds of one thing at a time have two:
    one of them is published, the other is left over."""
    return f"{_mark(workspace)}{build_id}_{uuid.uuid4().hex[:8]}"


@contextmanager
def building(workspace: Workspace) -> Iterator[None]:
    """Hold off whoever drops leftovers until what is built in this block is published."""
    with _lock_file(workspace) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


def drop_leftovers(connection: Connection, workspace: Workspace) -> list[str]:
    """Drop this workspace's collections that no manifest in it names; returns their names. While
    something is being built nothing is dropped. Raises IndexUnreachable, IndexFault."""
    with _lock_file(workspace) as descriptor:
        if not try_lock(descriptor):
            return []
        mark, named = _mark(workspace), _named(workspace)
        found = [str(name) for name in connection.ask("list_collections")]
        left = [name for name in found if name.startswith(mark) and name not in named]
        for name in left:
            connection.ask("drop_collection", name)
        return left


def _named(workspace: Workspace) -> set[str]:
    """Raises IndexFault where a manifest cannot be read: it may name any collection."""
    named = set()
    for path in workspace.indexes.glob(f"[!.]*/{MANIFEST}"):
        try:
            dense = json.loads(path.read_text(encoding="utf-8"))["dense"] or {}
        except (OSError, ValueError, KeyError):
            raise IndexFault(
                f"cannot read {path}", remedy="put it back, or remove its folder"
            ) from None
        if "milvus" in dense:
            named.add(dense["milvus"]["collection"])
    return named


def _mark(workspace: Workspace) -> str:
    """How the names of this workspace's collections begin."""
    path = workspace.indexes / _OWNER
    if not path.exists():
        written = path.with_name(f".{uuid.uuid4().hex}")
        written.write_text(uuid.uuid4().hex, encoding="utf-8")
        with suppress(FileExistsError):  # another process was first
            path.hardlink_to(written)
        written.unlink()
    owner = f"{path.read_text(encoding='utf-8')}\0{workspace.root.resolve()}"
    return f"ragdiag_{hashlib.sha256(owner.encode()).hexdigest()[:12]}_"


@contextmanager
def _lock_file(workspace: Workspace) -> Iterator[int]:
    descriptor = os.open(workspace.indexes / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
