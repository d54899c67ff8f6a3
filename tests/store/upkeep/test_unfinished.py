"""What has still to be looked for is kept for its owner alone, and goes without a trace."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ragdiag.privacy.encryption import is_encrypted
from ragdiag.privacy.keys import new_key
from ragdiag.settings import Workspace
from ragdiag.store.upkeep.unfinished import (
    FOLDER,
    drop_targets,
    keep_targets,
    kept_targets,
    unfinished_keys,
)
from ragdiag.store.upkeep.user_traces import UserTraces

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
ANN = UserTraces(("a" * 32,), ("r1",), ("Who am I?",), ("q1",), ("t1",), MONDAY)


@pytest.mark.parametrize("key", ["", new_key()], ids=["plain", "encrypted"])
def test_targets_are_kept_by_pseudonym_until_they_are_dropped(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("RAGDIAG_KEY", key)
    nobody = UserTraces(("b" * 32,))
    assert kept_targets(workspace, ANN.keys) == UserTraces(())
    keep_targets(workspace, ANN)
    keep_targets(workspace, nobody)
    assert kept_targets(workspace, ANN.keys) == ANN
    assert kept_targets(workspace, nobody.keys) == nobody
    assert unfinished_keys(workspace) == {*ANN.keys, *nobody.keys}
    files = list((workspace.root / FOLDER).iterdir())
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {is_encrypted(path) for path in files} == {bool(key)}
    draft = max(files, key=lambda path: path.stat().st_size)
    draft.with_name(f".{draft.name}.1.part").write_text("half")
    drop_targets(workspace, ANN.keys)
    assert unfinished_keys(workspace) == set(nobody.keys)
    assert len(list((workspace.root / FOLDER).iterdir())) == 1
