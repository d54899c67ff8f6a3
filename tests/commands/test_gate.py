"""``ragdiag gate``: the exit status is the decision."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragdiag.cli import main
from ragdiag.settings import Workspace
from ragdiag.store.lake import close_lakes
from tests.answered import NEW, OLD, QUESTIONS, THIRD, answer, fill_corpus, log


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``new`` answers as ``old`` does, ``third`` finds the gold of every second question only."""
    workspace = Workspace(tmp_path_factory.mktemp("gate") / "workspace")
    lake = fill_corpus(workspace)
    good = [answer(n, version) for version in (OLD, NEW) for n in range(QUESTIONS)]
    log(lake, workspace, [*good, *(answer(n, THIRD, rank=n % 2) for n in range(QUESTIONS))])
    yield str(workspace.root)
    close_lakes()


@pytest.mark.parametrize(
    ("arguments", "status", "decision"),
    [
        (["old", "new"], 0, "pass"),
        (["old", "third"], 1, "rollback"),
        (["old", "new", "--slo-ms", "57.5"], 3, "inconclusive"),
    ],
)
def test_the_exit_status_is_the_decision(
    root: str,
    arguments: list[str],
    status: int,
    decision: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    summary = tmp_path / "summary.md"
    given = ["--workspace", root, "gate", *arguments, "--split", "test"]
    assert main([*given, "--json", "--markdown", str(summary)]) == status
    document = json.loads(capsys.readouterr().out)
    assert (document["decision"], document["n"]) == (decision, QUESTIONS)
    assert (document["needed_n"] is None) == (decision != "inconclusive")
    assert summary.read_text().startswith(f"### Release gate: {decision}")
    assert main(given) == status
    assert capsys.readouterr().out.startswith(f"{decision}: {arguments[1]} in place of old")


def test_a_mistake_is_one_line(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, culprit in (
        (["old", "nwe", "--split", "test"], "'nwe'"),
        (["old", "new", "--split", "test", "--metric", "MRR"], "'MRR'"),
        (["old", "new", "--split", "test", "--markdown", "/nowhere/x.md"], "/nowhere/x.md"),
    ):
        assert main(["--workspace", root, "gate", *arguments]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert culprit in printed.err
        assert len(printed.err.splitlines()) == 1
