"""``ragdiag index prune``: what goes, what stays and why, in JSON and in words."""

from __future__ import annotations

import json

import pytest

from ragdiag.cli import main
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from tests.stocked import Build


def test_what_goes_is_told_before_and_after(
    corpus: Lake, workspace: Workspace, build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = build().build_id, build("rust").build_id
    command = ["--workspace", str(workspace.root), "index", "prune"]

    def said(*options: str) -> str:
        assert main([*command, *options]) == 0
        return capsys.readouterr().out

    week = json.loads(said("--json"))
    assert (week["builds"], week["kept"][old]) == ({}, "it is too young")
    told = json.loads(said("--older-than", "0", "--dry-run", "--json"))
    assert told["builds"].keys() == {old}
    assert told["bytes_freed"] == told["builds"][old] > 0
    assert f"build {old} would go" in said("--older-than", "0", "--dry-run")
    assert (workspace.indexes / old).is_dir()
    assert main([*command, "--older-than", "1000000"]) == 2
    assert "less than or equal to 36500" in capsys.readouterr().err
    lines = said("--older-than", "0").splitlines()
    assert lines[:2] == [f"build {old} is gone", f"build {new} stays: it serves"]
    assert lines[2].endswith(" MB freed")
    assert not (workspace.indexes / old).exists()
