"""Publish an index build, or go back to the one before: the pointer moves whole or not at all.

Writers of one index key take turns behind a file lock; readers need none, because the file is
replaced in one step (retrieval/serving.py says what it holds).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from ragdiag.deploy.soundness import Target, look_before_loading
from ragdiag.errors import IndexFault, UnknownName
from ragdiag.retrieval.files import atomic_file, full_disk_named
from ragdiag.retrieval.manifest import MANIFEST, REBUILD
from ragdiag.retrieval.serving import Publication, pointer_path, read_publications, standing
from ragdiag.settings import Workspace
from ragdiag.store.disk import sync
from ragdiag.store.lake import Lake
from ragdiag.store.locks import locked
from ragdiag.store.results import latest_build
from ragdiag.version import Version

PATIENCE_S = 60.0
"""How long a publication waits for others of the same index key."""

History = tuple[Publication, ...]


def begin_history(lake: Lake, workspace: Workspace, index_key: str) -> None:
    """Write down what serves now, so that a build which is added later does not serve before it is
    published. Where the history has begun already, nothing is changed."""
    if pointer_path(workspace, index_key).is_file():
        return

    def begin(history: History | None) -> History:
        if history is not None:
            return history
        newest = latest_build(lake, index_key)
        if newest is None:
            return ()
        reason = "the newest build served before publications were kept"
        return (Publication(newest.build_id, newest.built_at, "found", "ragdiag", reason),)

    _rewrite(workspace, index_key, begin)


def publish_build(
    workspace: Workspace,
    index_key: str,
    build_id: str,
    *,
    by: str,
    reason: str = "",
    checks: Mapping[str, str] | None = None,
    after: int | None = None,
) -> bool:
    """Let ``build_id`` serve from now on; False where nothing is written: it serves already, or
    there are more publications than the ``after`` that it was decided on.

    Raises IndexFault where the build is not there, StoreBusy, StoreFull.
    """
    folder = workspace.indexes / build_id

    def add(history: History | None) -> History:
        if not (folder / MANIFEST).is_file():
            said = f"index build {build_id} is missing from {folder.parent}"
            raise IndexFault(said, remedy=REBUILD)
        if history and history[-1].build_id == build_id:
            return history
        if after is not None and len(history or ()) > after:
            return history or ()
        now = datetime.now(UTC)
        return (*(history or ()), Publication(build_id, now, "publish", by, reason, checks or {}))

    old, new = _rewrite(workspace, index_key, add)
    return old != new


def roll_back(
    workspace: Workspace, version: Version, *, by: str, reason: str = ""
) -> tuple[Publication, str]:
    """Let the build serve again that was published before the one which serves now.

    Returns the new publication and the build it took the place of. Every file of the build is
    verified first, and that its model is the one that embedded it. Raises UnknownName where nothing
    was published before, IndexFault where that build is missing or damaged, or its model changed.
    """

    def back(history: History | None) -> History:
        kept = standing(history or ())
        if len(kept) < 2:
            raise UnknownName(
                f"version {version.name} has no build to go back to: "
                f"{f'{kept[-1].build_id} is the first that was published' if kept else 'none was'}",
                remedy=f"build another: ragdiag index build {version.name}",
            )
        target = kept[-2].build_id
        findings = look_before_loading(workspace, Target(version, target))
        for bad in findings:
            if bad.status == "bad":
                raise IndexFault(
                    f"{bad.what}, so there is no going back to it",
                    remedy=f"publish another of: ragdiag index list {version.name}, "
                    f"or build again: ragdiag index build {version.name}",
                )
        said = reason or f"away from {kept[-1].build_id}"
        checks = {one.name: one.status for one in findings}
        now = datetime.now(UTC)
        return (*(history or ()), Publication(target, now, "rollback", by, said, checks))

    before, after = _rewrite(workspace, version.spec.index_key, back)
    return after[-1], before[-1].build_id


@contextmanager
def publishing_turn(workspace: Workspace, index_key: str) -> Iterator[None]:
    """While this lasts nobody else changes what serves ``index_key``. Raises StoreBusy."""
    path = pointer_path(workspace, index_key)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock"), time.monotonic() + PATIENCE_S):
        yield


def _rewrite(
    workspace: Workspace, index_key: str, change: Callable[[History | None], History]
) -> tuple[History, History]:
    """Replace the history by what ``change`` makes of it; the history before and after."""
    path = pointer_path(workspace, index_key)
    with publishing_turn(workspace, index_key):
        before = read_publications(workspace, index_key)
        after = change(before)
        if after != before:
            rows = [one.to_json() for one in after]
            document = {"format": 1, "index_key": index_key, "publications": rows}
            with full_disk_named(workspace.indexes), atomic_file(path) as temporary:
                temporary.write_text(json.dumps(document, indent=1), encoding="utf-8")
            sync(path.parent)
    return before or (), after
