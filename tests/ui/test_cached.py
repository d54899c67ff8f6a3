"""What the pages keep of the lake's answers."""

from __future__ import annotations

from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.upkeep.forgotten import keep_tombstones, user_tombstone
from ragdiag.ui.cached import fetch
from ragdiag.ui.view import View

asked: list[str] = []


def read(lake: Lake, what: str) -> str:
    asked.append(what)
    return what


def test_answers_are_kept_by_snapshot_until_somebody_is_forgotten(
    lake: Lake, workspace: Workspace
) -> None:
    view = View(workspace, lake, lake.snapshot(), None, read_only=True)
    for _ in range(2):
        assert fetch(view, read, "week") == "week"
    assert asked == ["week"]
    keep_tombstones(workspace, {user_tombstone(workspace, "ann")})
    for _ in range(2):
        assert fetch(view, read, "week") == "week"
    assert asked == ["week", "week"]
