"""``diagnose VERSION`` and the commands that stand beside it."""

from __future__ import annotations

import pytest

from ragdiag.cli import main
from ragdiag.diagnosis.injection import EXPECTED
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake


@pytest.mark.parametrize(
    "arguments",
    [
        ["lexical", "--split", "test"],
        ["--split", "test", "lexical"],
        ["version", "lexical", "--split", "test"],
        ["validate", "lexical", "--split", "test"],
        ["sufficiency", "lexical", "--split", "test"],
    ],
)
def test_each_form_reaches_its_command_and_asks_for_an_evaluation(
    corpus: Lake, workspace: Workspace, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(["--workspace", str(workspace.root), "diagnose", *arguments]) == 2
    printed = capsys.readouterr()
    assert "no evaluation of split 'test'; run: ragdiag evaluate lexical" in printed.err
    assert printed.out == ""
    if "validate" in arguments:  # what is expected is said before anything runs
        said = [line.split()[:2] for line in printed.err.splitlines()]
        assert said[1 : 1 + len(EXPECTED)] == [[f, one.verdict] for f, one in EXPECTED.items()]
