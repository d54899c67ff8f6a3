"""``ragdiag grade``: prices before questions, one JSON document, one line for a mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ragdiag.cli import main
from ragdiag.grading.flips import ASKED_AGAIN
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake, open_lake
from ragdiag.store.results import load_requests
from ragdiag.workflows.diagnosing import diagnose
from ragdiag.workflows.grading.reviews import save_label
from tests.answered import OLD, answer, log
from tests.faulty_server import FaultyServer
from tests.grading.conftest import CORRECT, completion

SPLIT = ["--split", "test"]


@pytest.fixture
def root(
    copied: Callable[[Workspace], Lake],
    answered_corpus: Workspace,
    workspace: Workspace,
    faulty_server: FaultyServer,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Six answers, one wrong, and a judge that finds all of them right."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        # a proxy of this machine must not stand between the test and its own server
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    lake = copied(answered_corpus)
    log(lake, workspace, [answer(n, OLD, right=n != 1) for n in range(6)])
    workspace.configuration.write_text(
        f"[judge]\nbase_url = '{faulty_server.base_url}'\nprompt_price = 1\ncompletion_price = 4\n"
    )
    faulty_server.answers(200, completion(CORRECT))
    return str(workspace.root)


def test_a_judge_is_priced_before_it_is_asked(
    root: str, faulty_server: FaultyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--workspace", root, "grade", "run", "old", *SPLIT, "--grader", "judge:m"]
    assert main([*given, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["dry_run"], plan["calls"], plan["kept"]) == (True, 6, 0)
    assert plan["cost_usd"] > 0
    assert faulty_server.seen == []
    assert main(given) == 0
    assert "Nothing was asked: add --yes" in capsys.readouterr().out
    assert main([*given, "--yes", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["grader"], found["graded"]) == ("judge:m/correct-v1", 6)
    assert found["right"]["value"] == 1
    assert len(faulty_server.seen) == 6


def test_a_batch_under_way_has_its_own_status(
    root: str, faulty_server: FaultyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty_server.answers(200, {"id": "batch-9", "status": "in_progress"})
    given = ["--workspace", root, "grade", "run", "old", *SPLIT, "--grader", "judge:m"]
    assert main([*given, "--yes", "--batch", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["batch_ids"] == ["batch-9"]
    assert len(faulty_server.uploads) == 1


def test_from_a_sample_to_a_corrected_rate(
    root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, graded = tmp_path / "labels.jsonl", "token_f1-v2@0.5"
    grade = ["--workspace", root, "grade"]
    assert main([*grade, "run", "old", *SPLIT, "--grader", "token_f1"]) == 0
    sample = [*grade, "sample", "old", *SPLIT, "--grader", graded, "-n", "4", "--out", str(out)]
    assert main(sample) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    out.write_text(
        "".join(json.dumps({**ln, "label": "set" in ln["answer"]}) + "\n" for ln in lines)
    )
    assert main([*grade, "calibrate", str(out), "--grader", "token_f1"]) == 0
    capsys.readouterr()
    assert main([*grade, "rate", "old", *SPLIT, "--grader", graded, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["labels"]) == (6, 4)
    assert (found["corrected"]["value"], found["corrected"]["low"]) == (None, None)
    assert found["corrected"]["reason"] == "a rate needs 20 labels"
    assert main([*grade, "rate", "old", *SPLIT, "--grader", graded]) == 0
    told = capsys.readouterr().out
    assert "corrected by 4 labels of these answers: undefined: a rate needs 20 labels" in told


def test_calibrating_a_judge_counts_in_its_price_what_it_is_asked_again(
    root: str, faulty_server: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.jsonl"
    items = [{"item_id": f"i{n}", "label": 1, "answer": "7", "answers": ["7"]} for n in range(40)]
    items += [
        {"item_id": f"j{n}", "label": 1, "answer": str(n), "answers": ["7"]} for n in range(9)
    ]
    labels.write_text("".join(json.dumps(item) + "\n" for item in items))
    given = ["--workspace", root, "grade", "calibrate", str(labels), "--grader", "judge:m"]
    assert main([*given, "--json"]) == 0
    (plan,) = json.loads(capsys.readouterr().out)
    assert (plan["calls"], plan["again"]) == (9 + ASKED_AGAIN, ASKED_AGAIN)
    assert main([*given, "--again", "5"]) == 0
    assert "14 questions to ask (5 of them once more" in capsys.readouterr().out
    assert faulty_server.seen == []
    assert main([*given, "--again", "5", "--yes", "--json"]) == 0
    flips = json.loads(capsys.readouterr().out)["graders"]["judge:m/correct-v1"]["flips"]
    assert (flips["value"], flips["n"], flips["undecided"]) == (0, 5, 0)
    assert flips["high"] > 0


def test_agreement_of_reviewers(
    root: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake(Workspace(Path(root)))
    for n, request in enumerate(load_requests(lake)):
        save_label(lake, "ada", request.request_id, "correct" if n % 2 else "wrong")
        save_label(lake, "bo", request.request_id, "correct" if n else "wrong")
    for scope in ([], ["old", *SPLIT]):
        assert main(["--workspace", root, "grade", "agreement", *scope, "--json"]) == 0
        (pair,) = json.loads(capsys.readouterr().out)["pairs"]
        assert (pair["first"], pair["second"], pair["same"]) == ("ada", "bo", 4)
        assert pair["kappa"]["n"] == 6
        assert pair["kappa"]["low"] < pair["kappa"]["value"] < pair["kappa"]["high"]
    monkeypatch.setattr(diagnose, "load_requests", pytest.fail)  # it would read all traffic
    for kind, number in (("evaluation", 1), ("production", 0)):
        scope = ["old", "--traffic", kind, "--since", "2026-01-05"]
        assert main(["--workspace", root, "grade", "agreement", *scope, "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["pairs"]) == number


def test_a_mistake_is_one_line(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, culprit in (
        (["run", "old", *SPLIT, "--grader", "vibes"], "'vibes'"),
        (["run", "old", "--split", "trian", "--grader", "numeric"], "'trian'"),
        (["rate", "old", *SPLIT, "--grader", "numeric-v2"], "numeric-v2"),
        (
            ["rate", "old", *SPLIT, "--grader", "numeric"],
            "grade run old --split test --grader numeric, and",
        ),
        (["run", "old", "--grader", "numeric"], "name one of its evaluations: --split test"),
        (["run", "old", *SPLIT, "--grader", "numeric", "--since", "2026-13-01"], "YYYY-MM-DD"),
        (["agreement", *SPLIT], "--split"),
        (["calibrate", "/nowhere.jsonl", "--grader", "numeric"], "/nowhere.jsonl"),
    ):
        assert main(["--workspace", root, "grade", *arguments]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert culprit in printed.err
        assert len(printed.err.splitlines()) == 1
