"""The ``reranker`` commands reach their workflows, and a version without one is told so."""

from __future__ import annotations

import pytest

from ragdiag.cli import main
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake


@pytest.mark.parametrize("command", ["tune", "calibrate"])
def test_a_version_without_a_reranker_is_named(
    corpus: Lake, workspace: Workspace, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    arguments = ["reranker", command, "lexical", "--split", "test"]
    assert main(["--workspace", str(workspace.root), *arguments]) == 2
    assert "version lexical has no [reranker]; name a version with one" in capsys.readouterr().err
