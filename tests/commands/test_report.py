"""Reports of a snapshot, and of it again when more has come in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ragdiag.cli import main
from ragdiag.records import DEFAULT_GRADER, Diagnosis, Grade
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests, save_findings
from ragdiag.store.upkeep.compact import compact_store
from tests.answered import log
from tests.toy_lake import versions

Report = Callable[..., Any]
REPORTS = (
    ("report", "weekly"),
    ("report", "evaluation", "hybrid", "--split", "test"),
    ("report", "diagnosis", "hybrid"),
    ("compare", "lexical", "hybrid", "--split", "test"),
    ("gate", "lexical", "hybrid", "--split", "test"),
)


@pytest.fixture
def filled(copied: Callable[[Workspace], Lake], toy_workspace: Workspace) -> Lake:
    return copied(toy_workspace)


@pytest.fixture
def report(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Report:
    """The document of a command, whatever it decides; sums depend on the order of rows by 1e-13."""

    def run(*words: str) -> Any:
        assert main(["--workspace", str(workspace.root), *words, "--json"]) in (0, 1, 3)
        text = capsys.readouterr().out
        return json.loads(text, parse_float=lambda number: round(float(number), 9))

    return run


def bring_in_more(lake: Lake, workspace: Workspace) -> None:
    """The last week's requests and every evaluation once more, all of them wrong and slow."""
    known = load_requests(lake)
    late = [
        replace(
            one,
            request_id=f"again-{one.request_id}",
            asked_at=one.asked_at + timedelta(hours=1),
            answer="Nobody knows.",
            fused=(),
            reranked=None,
            latency_ms={name: 9 * ms for name, ms in one.latency_ms.items()},
        )
        for one in known
        if one.traffic == "evaluation" or one.request_id.startswith("p-11-")
    ]
    log(lake, workspace, late)
    wrong = [one.request_id for one in late]
    save_findings(
        lake,
        grades=[Grade(name, DEFAULT_GRADER, 0) for name in wrong],
        diagnoses=[
            Diagnosis(name, "recall_miss", "retrieval", "g", "A", {"y": 0}) for name in wrong
        ],
    )


def numbers(document: Any) -> Any:
    return {name: value for name, value in document.items() if not name.startswith("snapshot")}


def test_a_report_of_a_snapshot_has_the_same_numbers_when_more_has_come_in(
    filled: Lake, workspace: Workspace, report: Report
) -> None:
    before = {words: report(*words) for words in REPORTS}
    (snapshot,) = {document["snapshot"] for document in before.values()}
    report("report", "weekly", "--keep", "week 47")
    bring_in_more(filled, workspace)
    compact_store(filled, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    for words, document in before.items():
        now = report(*words)
        assert now["snapshot"] > snapshot
        assert numbers(now) != numbers(document), words
        for asked in ("week 47", str(snapshot)):
            assert report(*words, "--snapshot", asked) == document, words


def test_an_evaluation_and_a_diagnosis_name_the_snapshot_that_has_them(
    filled: Lake, report: Report
) -> None:
    version = versions()[2]
    assert version.name == "hybrid"
    told = report("report", "diagnosis", "hybrid", "--split", "test")
    failed = filled.rows(
        "select count(*) as n from requests r join grades g using (request_id) "
        "where r.traffic = 'evaluation' and r.version_id = ? and g.y = 0",
        [version.version_id],
    )
    assert (told["n"], told["failures"]) == (60, failed[0]["n"])
    assert report("report", "evaluation", "hybrid", "--split", "test")["n"] == 60


def test_the_text_is_markdown_that_names_its_snapshot_and_says_how_to_keep_it(
    filled: Lake, workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, path = ["--workspace", str(workspace.root), "report", "weekly"], tmp_path / "week.md"
    snapshot = filled.snapshot()
    assert main([*given, "--markdown", str(path)]) == 0
    printed = capsys.readouterr()
    assert printed.out == path.read_text() + "\n"
    assert f"Made from snapshot {snapshot} of the query log" in printed.out
    assert "when it is 7 days old (to keep it: --keep NAME)" in printed.err
    assert main([*given, "--keep", "week 47"]) == 0
    assert main([*given, "--snapshot", "week 47"]) == 0
    kept = capsys.readouterr()
    assert kept.err == ""
    assert kept.out == 2 * printed.out
    path.unlink()
    assert main([*given, "--keep", "week 47", "--markdown", str(path)]) == 2
    refused = capsys.readouterr()
    assert "'week 47' is taken" in refused.err
    assert "Made from snapshot" in refused.out, "the report is out before the name is refused"
    assert refused.out == path.read_text() + "\n"


def test_a_snapshot_that_is_not_there_is_one_line_with_those_that_are(
    filled: Lake, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in REPORTS:
        status = main(["--workspace", str(workspace.root), *words, "--snapshot", "week 46"])
        printed = capsys.readouterr()
        assert (status, printed.out) == (2, "")
        (line,) = printed.err.splitlines()
        assert "no snapshot 'week 46'" in line
        assert f"a number from 0 to {filled.snapshot()}" in line


def test_a_day_that_is_none_says_how_to_write_one(
    filled: Lake, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["report", "weekly", "--week", "2026-13-01"]
    assert main(["--workspace", str(workspace.root), *arguments]) == 2
    assert capsys.readouterr().err == "ragdiag: '2026-13-01' is no day; write YYYY-MM-DD\n"
