"""What is asked and how it is graded where not every text is stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragdiag.commands.evaluate_words import evaluation_rows
from ragdiag.errors import InputError, UnknownName
from ragdiag.generation.extractive import ExtractiveGenerator
from ragdiag.importers.beir import import_beir
from ragdiag.importers.gold import import_gold
from ragdiag.records import GoldAnswer, Judgment, Passage, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_gold_answers, add_judgments, add_questions
from ragdiag.store.judgments import load_members
from ragdiag.store.lake import Lake
from ragdiag.store.queries import evaluated
from ragdiag.store.results import save_version
from ragdiag.version import ExtractiveSpec, Version, parse_spec
from ragdiag.workflows.comparing.compare import compare_versions
from ragdiag.workflows.comparing.compare_words import family_words
from ragdiag.workflows.comparing.evaluate import evaluate, read_evaluation
from ragdiag.workflows.comparing.gate import gate_versions
from ragdiag.workflows.comparing.power_plan import plan_questions
from ragdiag.workflows.comparing.sliced_questions import load_slices
from ragdiag.workflows.diagnosing.contradictions import contradiction_lines
from ragdiag.workflows.diagnosing.diagnose import Scope, open_diagnosis
from ragdiag.workflows.indexing.build import build_version_index
from ragdiag.workflows.tuning.data import LearnFrom
from tests.counted_work import CountingEncoder

HIDDEN = f"[text {'0' * 32}]"


@pytest.fixture
def lexical(lake: Lake, workspace: Workspace, toy_beir: Path) -> Version:
    """A version whose index holds the toy corpus and a passage with an address."""
    import_beir(lake, toy_beir)
    add_documents(lake, [Passage("desk", "desk", "The desk answers at help@example.org.")])
    version = Version("v", parse_spec("[lexical]\n[generator]\nkind = 'extractive'", source="toy"))
    save_version(lake, version)
    build_version_index(lake, workspace, version)
    return version


def test_an_answer_is_graded_as_it_is_stored(
    lake: Lake, workspace: Workspace, lexical: Version
) -> None:
    add_questions(lake, [Question("desk", "Where does the desk answer?")])
    add_gold_answers(lake, [GoldAnswer("desk", ("help@example.org",))])
    add_judgments(lake, [Judgment("desk", "desk", 1, "own")])
    found = evaluate(lake, workspace, lexical, "own")
    assert "[email]" in found.requests[0].answer
    assert found.metrics["correct"].value == 1.0


def test_questions_with_a_gold_answer_alone_are_asked_graded_compared_and_diagnosed(
    lake: Lake, workspace: Workspace, lexical: Version, tmp_path: Path
) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(
        '{"question": "Where does the desk answer?", "answers": ["help@example.org"]}\n'
        '{"question": "Who runs the desk?", "answers": ["Ada"]}\n'
    )
    import_gold(lake, path)
    found = evaluate(lake, workspace, lexical, "gold")
    assert (len(found.requests), found.metrics["correct"].value) == (2, 0.5)
    assert found.metrics["MRR@10"].reason == "no question has a gold passage"
    rows = [row["metric"] for row in evaluation_rows(found)]
    assert not [name for name in rows if name.startswith(("MRR@10,", "recall@10,"))]
    with pytest.raises(InputError, match=r"0 questions of v have a MRR@10: that is too little"):
        plan_questions(lake, lexical, split="gold")
    assert read_evaluation(lake, lexical, "gold").metrics["correct"].value == 0.5
    compared = compare_versions(lake, lexical, lexical, "gold")
    assert [pair.question_id for pair in compared.pairs] == load_members(lake, "gold")
    assert "tests: 2 measures on all questions" in family_words(compared)
    quality = gate_versions(lake, lexical, lexical, "gold").criteria["quality"]
    assert quality.reason.endswith("has a MRR@10 of A: name another with --metric")
    assert open_diagnosis(lake, workspace, lexical, Scope("gold")).diagnose().failures == 1
    assert evaluated(lake) == {lexical.version_id: ["gold"]}
    with pytest.raises(UnknownName, match="no question is judged in the split 'gold'"):
        LearnFrom("gold").assembled(lake, None, title=True)  # type: ignore[arg-type]


def test_a_question_that_is_not_stored_is_not_asked(
    lake: Lake, workspace: Workspace, lexical: Version
) -> None:
    add_questions(lake, [Question("gone", HIDDEN)])
    add_judgments(lake, [Judgment("gone", "desk", 1, "own"), Judgment("gone", "desk", 1, "test")])
    assert "gone" not in {
        r.question_id for r in evaluate(lake, workspace, lexical, "test").requests
    }
    with pytest.raises(UnknownName, match="no question of the split 'own' has its text stored"):
        evaluate(lake, workspace, lexical, "own")


def test_an_evaluation_is_timed_alike_whatever_was_asked_before(
    lake: Lake, workspace: Workspace, lexical: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = CountingEncoder()
    generator = ExtractiveGenerator(ExtractiveSpec(), encoder)
    monkeypatch.setattr("ragdiag.pipeline.load_generator", lambda _: generator)
    monkeypatch.setattr("ragdiag.pipeline.timed", encoder.timed)
    for _ in range(2):
        asked = evaluate(lake, workspace, lexical, "test").requests
        assert {one.latency_ms["generation"] for one in asked} == {0.0}
    assert encoder.texts > 0


def test_what_is_not_graded_bounds_the_rate_and_labels_that_contradict_are_told(
    lake: Lake, workspace: Workspace, lexical: Version
) -> None:
    add_questions(lake, [Question("open", "Where is the desk?"), Question("odd", "Is it a desk?")])
    add_gold_answers(lake, [GoldAnswer("odd", ("yes", "no"))])
    add_judgments(lake, [Judgment(name, "desk", 1, "test") for name in ("open", "odd")])
    found = evaluate(lake, workspace, lexical, "test")
    right = round(found.metrics["correct"].value * found.metrics["correct"].n)
    assert (found.ungraded, found.metrics["correct"].n) == (1, 7)
    assert found.correct_bounds == (right / 8, (right + 1) / 8)
    told = found.to_json()
    assert told["contradicting_gold"] == {"odd": ["yes", "no"]}
    assert {"lexical", "fused", "context"} <= told["gold_recall_by_stage"].keys()
    assert told["gold_recall_by_stage"]["lexical"]["recall"]["n"] == 8
    assert {one["kind"] for one in told["slices"]} == {"length", "words"}
    rows = {row["metric"]: row["estimate"] for row in evaluation_rows(found)}
    assert rows["correct of all"] == f"{right / 8:.3f} to {(right + 1) / 8:.3f}, 1 of 8 not graded"
    assert rows["gold recall, lexical"].endswith("n = 8)")
    assert any(name.startswith("MRR@10, words: rare words") for name in rows)
    assert set(load_slices(lake)["words"].values()) == {
        one.name for one in found.slices if one.kind == "words"
    }
    assert contradiction_lines(found.contradicting) == [
        "accepted answers contradict each other in 1 question:",
        "  'odd': 'yes' and 'no'",
    ]


def test_where_all_is_graded_there_are_no_bounds(
    lake: Lake, workspace: Workspace, lexical: Version
) -> None:
    found = evaluate(lake, workspace, lexical, "test")
    assert "correct_bounds" not in found.to_json()
    assert not any(row["metric"] == "correct of all" for row in evaluation_rows(found))
    assert found.to_json()["contradicting_gold"] == {}
