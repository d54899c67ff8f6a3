"""``diagnose VERSION`` and the commands that stand beside it."""

from __future__ import annotations

import pytest

from ragdiag.cli import main
from ragdiag.diagnosis.injection import EXPECTED
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests
from ragdiag.version import Version
from ragdiag.workflows.comparing.evaluate import evaluate
from ragdiag.workflows.indexing.build import build_version_index


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
    assert len(printed.err.splitlines()) == 1


def test_who_leaves_the_split_out_is_told_to_name_it(
    corpus: Lake, workspace: Workspace, version: Version, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--workspace", str(workspace.root), "diagnose", version.name]
    build_version_index(corpus, workspace, version)
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert f"run: ragdiag evaluate {version.name} --split SPLIT, and name it here" in told
    evaluate(corpus, workspace, version, "test")
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "no production traffic in that window; name one of its evaluations: --split test" in told


def test_a_validation_says_first_what_it_expects_and_last_what_it_lacks(
    corpus: Lake, workspace: Workspace, version: Version, capsys: pytest.CaptureFixture[str]
) -> None:
    build_version_index(corpus, workspace, version)
    evaluate(corpus, workspace, version, "test")
    arguments = ["diagnose", "validate", version.name, "--split", "test", "--n", "6"]
    assert main(["--workspace", str(workspace.root), *arguments]) == 0
    printed = capsys.readouterr()
    said = [line.split()[:2] for line in printed.err.splitlines()]
    assert said[1 : 1 + len(EXPECTED)] == [[f, one.verdict] for f, one in EXPECTED.items()]
    assert "gold_demoted: 0 of 6 tried questions became wrong" in printed.out
    assert "dense_blind: not tried, since the version has not the part" in printed.out


def test_an_evaluation_outside_the_window_is_named(
    corpus: Lake, workspace: Workspace, version: Version, capsys: pytest.CaptureFixture[str]
) -> None:
    build_version_index(corpus, workspace, version)
    evaluate(corpus, workspace, version, "test")
    day = max(request.asked_at for request in load_requests(corpus)).date()
    arguments = ["report", "diagnosis", version.name, "--split", "test", "--since", "2999-12-01"]
    assert main(["--workspace", str(workspace.root), *arguments]) == 2
    told = capsys.readouterr().err
    assert "no evaluation of split 'test' within --since/--until" in told
    assert f"the latest is of {day}" in told
