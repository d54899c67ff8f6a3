"""Failures drawn blind, labelled, and held against what was diagnosed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragdiag.cli import main
from ragdiag.errors import InputError
from ragdiag.records import GoldAnswer, Judgment, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_gold_answers, add_judgments, add_questions
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.comparing.evaluate import evaluate
from ragdiag.workflows.diagnosing.blind_labels import compare_blame, draw_failures
from ragdiag.workflows.indexing.build import build_version_index

LOST = ("qwertz?", "asdfgh?", "yxcvbn?")
TOLD = {"corpus", "retrieval", "generator", "packing", "verdict", "cause", "evidence"}


@pytest.fixture
def version(corpus: Lake, workspace: Workspace) -> Version:
    """One that fails on three questions of which BM25 finds no word."""
    questions = [Question(f"lost-{n}", text, "keys") for n, text in enumerate(LOST)]
    add_questions(corpus, questions)
    add_judgments(corpus, [Judgment(one.question_id, "cats", 1, "lost") for one in questions])
    add_gold_answers(
        corpus, [GoldAnswer(one.question_id, ("fifteen hours a day",)) for one in questions]
    )
    made = Version(
        "words",
        parse_spec("[lexical]\n[context]\nk = 2\n[generator]\nkind = 'extractive'", source="toy"),
    )
    save_version(corpus, made)
    build_version_index(corpus, workspace, made)
    evaluate(corpus, workspace, made, "lost")
    return made


def filled(path: Path, lines: list[dict[str, object]], labels: list[str]) -> Path:
    given = [{**line, "label": label} for line, label in zip(lines, labels, strict=True)]
    path.write_text("".join(json.dumps(line) + "\n" for line in given), encoding="utf-8")
    return path


def test_what_is_drawn_shows_the_failure_and_nobodys_opinion(
    corpus: Lake, workspace: Workspace, version: Version
) -> None:
    lines = draw_failures(corpus, workspace, version, "lost")
    assert sorted(line["question"] for line in lines) == sorted(LOST)
    for line in lines:
        assert line["label"] == ""
        assert line["gold_answers"] == ["fifteen hours a day"]
        assert [(one["id"], one["rank"]) for one in line["gold"]] == [("cats", None)]
        assert "fifteen hours a day" in line["gold"][0]["text"]
        assert not TOLD & line.keys()
    assert draw_failures(corpus, workspace, version, "lost") == lines
    assert len(draw_failures(corpus, workspace, version, "lost", n=2)) == 2


def test_labels_are_compared_with_the_diagnoses_there_are(
    corpus: Lake,
    workspace: Workspace,
    version: Version,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = ["--workspace", str(workspace.root), "diagnose"]
    assert main([*run, "sample", "words", "--split", "lost"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    path = filled(tmp_path / "said.jsonl", lines, ["retrieval", "generator", "undetermined"])
    before = compare_blame(corpus, path)
    assert (before.labels, before.undecided, len(before.missing)) == (3, 1, 2)
    assert before.tiers == {}

    assert main([*run, "words", "--split", "lost"]) == 0
    found = compare_blame(corpus, path)
    assert found.missing == ()
    assert found.tiers["A"].part.right.n == 2
    assert found.tiers["A"].matrix == {"retrieval": {"generator": 1}, "generator": {"generator": 1}}
    capsys.readouterr()
    assert main([*run, "agree", str(path)]) == 0
    told = capsys.readouterr().out
    assert "3 labels, 1 of them undecided" in told
    assert "tier A: right in 50 % (3" in told.replace("%", " %").replace("  ", " ")


def test_lines_that_are_not_filled_in_are_named(corpus: Lake, tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    line = {"request_id": "r1", "label": ""}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"holds no label: .*\(line 1\)"):
        compare_blame(corpus, path)
    good = {"request_id": "r2", "label": "retrieval"}
    path.write_text("\n".join(map(json.dumps, [line, good, good])), encoding="utf-8")
    found = compare_blame(corpus, path)
    assert [one.line for one in found.rejects] == [1, 3]
    assert (found.labels, found.missing) == (1, ("r2",))
