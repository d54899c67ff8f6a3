"""The examples that a version gives to learn answers from, once documents have left the corpus."""

from __future__ import annotations

import pytest

from ragdiag.records import GoldAnswer, Judgment, Passage, PassageMetadata, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import (
    add_documents,
    add_gold_answers,
    add_judgments,
    add_questions,
    remove_documents,
)
from ragdiag.store.lake import Lake
from ragdiag.training.answers.examples import AnswerData, AnswerOptions
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.indexing.build import build_version_index
from ragdiag.workflows.tuning.answer_options import version_answers

NAMES = "oslo rome lima paris cairo delhi quito dakar seoul hanoi minsk sofia"
TOWNS = NAMES.split()
GUIDE = Passage("guide", "guide", f"When did the mills open near {NAMES}?")
SPEC = "[lexical]\n[context]\nk = 3\n[generator]\nkind = 'extractive'"


@pytest.fixture
def version(lake: Lake, workspace: Workspace) -> Version:
    """Whoever asks about a town is given the guide too; it names all of them and tells nothing."""
    mills = [Passage(t, t, f"The mill near {t} opened in {1800 + n}.") for n, t in enumerate(TOWNS)]
    add_documents(lake, [GUIDE, *mills])
    add_questions(lake, [Question(town, f"When did it open near {town}?") for town in TOWNS])
    add_gold_answers(lake, [GoldAnswer(t, (str(1800 + n),)) for n, t in enumerate(TOWNS)])
    add_judgments(lake, [Judgment(town, town, 1, "train") for town in TOWNS])
    version = Version("words", parse_spec(SPEC, source="toy"))
    build_version_index(lake, workspace, version)
    return version


def contexts(data: AnswerData) -> set[str]:
    return {passage.passage_id for one in data.examples for passage in one.context}


def test_a_removed_document_is_in_no_example(
    lake: Lake, workspace: Workspace, version: Version
) -> None:
    data = version_answers(lake, workspace, version, AnswerOptions())
    assert contexts(data) >= {"guide", "oslo"}
    remove_documents(lake, ["guide", "oslo"])
    data = version_answers(lake, workspace, version, AnswerOptions())
    assert contexts(data) & {"guide", "oslo"} == set()
    assert {one.question_id: one.reason for one in data.refused} == {
        "oslo": "none of its gold passages is in the corpus"
    }


def test_what_was_restricted_since_the_build_distracts_no_more(
    lake: Lake, workspace: Workspace, version: Version
) -> None:
    text, restricted = GUIDE.text, PassageMetadata(tenant="acme")
    add_documents(lake, [Passage("guide", "guide", text, metadata=restricted)])
    data = version_answers(lake, workspace, version, AnswerOptions())
    assert "guide" not in contexts(data)
