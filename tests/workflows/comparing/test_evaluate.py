"""What is asked and how it is graded where not every text is stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragdiag.errors import UnknownName
from ragdiag.importers.beir import import_beir
from ragdiag.records import GoldAnswer, Judgment, Passage, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_gold_answers, add_judgments, add_questions
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.comparing.evaluate import evaluate
from ragdiag.workflows.indexing.build import build_version_index

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
