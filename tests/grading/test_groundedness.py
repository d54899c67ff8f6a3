"""Support sentence by sentence: words, meanings, citations."""

from __future__ import annotations

import pytest

from ragdiag.grading.contract import Item
from ragdiag.grading.graders import open_grader
from ragdiag.grading.groundedness import CitationGrader, lexical_support, words_of
from ragdiag.records import ContextPassage, Grade
from ragdiag.settings import Workspace

CONTEXT = (
    ContextPassage("cats", "Cats sleep about fifteen hours a day. They are active at dawn."),
    ContextPassage("tea", "Green tea is brewed at eighty degrees."),
)
TRUE = "Cats sleep fifteen hours a day."
MADE_UP = "Elephants invented the steam engine in Birmingham."


def item(answer: str, citations: tuple[str, ...] = (), status: str = "ok") -> Item:
    return Item("r", "q", answer, status, (), CONTEXT, citations)  # type: ignore[arg-type]


def grade(name: str, workspace: Workspace, answer: str, **more: object) -> Grade:
    (found,) = open_grader(workspace, name).grade([item(answer, **more)])  # type: ignore[arg-type]
    return found


def test_lexical_score_is_the_precision_of_the_whole_answer(workspace: Workspace) -> None:
    answer = f"{TRUE} {MADE_UP}"
    found = grade("grounded_lexical", workspace, answer)
    assert found.y == 0
    assert found.reason == "0.46 < 0.6; 1 of 2 sentences supported, the least by 0.00"
    whole = lexical_support([answer], [passage.text for passage in CONTEXT])[0]
    assert found.score == pytest.approx(whole)
    assert len(words_of(answer)) == 13
    assert grade("grounded_lexical", workspace, TRUE).y == 1


def test_each_sentence_is_kept_with_the_passage_that_supports_it_most(
    workspace: Workspace,
) -> None:
    answer = f"{TRUE} Tea is brewed at dawn. {MADE_UP}"
    found = grade("grounded_lexical", workspace, answer).sentences
    assert [(one.supported, one.passage_id) for one in found] == [
        (True, "cats"),
        (True, "tea"),  # "at dawn" stands in the other
        (False, None),
    ]
    assert [one.score for one in found] == [1.0, 1.0, 0.0]
    new = grade("grounded_new_words", workspace, answer).sentences
    assert [(one.supported, one.passage_id) for one in new] == [
        (True, "cats"),
        (True, "tea"),
        (False, None),
    ]
    assert grade("grounded_lexical", workspace, "I don't know.").sentences == ()


@pytest.mark.slow
def test_the_encoder_knows_other_words_for_the_same(workspace: Workspace) -> None:
    supported = grade("grounded_encoder", workspace, "A cat slumbers some 15 hours daily.")
    assert supported.y == 1
    invented = grade("grounded_encoder", workspace, f"{TRUE} {MADE_UP}")
    assert (invented.y, "1 of 2 sentences" in invented.reason) == (0, True)
    assert [one.supported for one in invented.sentences] == [True, False]
    assert invented.sentences[0].passage_id == "cats"
    semantic = open_grader(workspace, "semantic")
    right, wrong = semantic.grade(
        [
            Item("a", "q", "I think so. A cat sleeps 15 hours daily.", golds=(TRUE,)),
            Item("b", "q", MADE_UP, golds=(TRUE,)),
        ]
    )
    assert (right.y, wrong.y) == (1, 0)
    assert semantic.name == "semantic-v1@0.7"


def test_citations(workspace: Workspace) -> None:
    def scores(answer: str, *cited: str) -> list[float | None]:
        graders = [CitationGrader("recall"), CitationGrader("precision")]
        return [grader.grade([item(answer, cited)])[0].score for grader in graders]

    assert scores(TRUE, "cats") == [1, 1]
    assert scores(TRUE, "cats", "tea") == [1, 0.5]
    assert scores(f"{TRUE} {MADE_UP}", "cats") == [0.5, 1]
    assert scores(TRUE, "unheard of") == [0, 0]
    assert scores(TRUE) == [0, None]


def test_what_says_nothing_needs_no_support(workspace: Workspace) -> None:
    declined = grade("grounded_lexical", workspace, "", status="no_answer")
    assert (declined.y, declined.status) == (None, "undefined")
    bare = Item("r", "q", TRUE)
    assert CitationGrader("recall").grade([bare])[0].reason == "the context is not known"
