"""What an answer repeats of its question counts for nothing."""

from __future__ import annotations

import pytest

from ragdiag.errors import InputError
from ragdiag.grading.contract import Item
from ragdiag.grading.graders import open_grader
from ragdiag.records import ContextPassage, Grade
from ragdiag.settings import Workspace

QUESTION = "How many hours a day do cats sleep?"
CONTEXT = (ContextPassage("cats", "Cats sleep about fifteen hours a day, 2 of them deeply."),)


def graded(name: str, answer: str, golds: tuple[str, ...] = (), status: str = "ok") -> Grade:
    item = Item("r", QUESTION, answer, status, golds, CONTEXT)  # type: ignore[arg-type]
    (found,) = open_grader(Workspace("unused"), name).grade([item])  # type: ignore[arg-type]
    return found


def test_repeating_the_question_is_no_support() -> None:
    invented = graded("grounded_new_words", "Cats sleep hours a day in Birmingham")
    assert (invented.y, invented.score) == (0, 0.0)
    assert invented.reason == "0.00 < 0.4; not there: birmingham"
    plain = graded("grounded_lexical", "Cats sleep hours a day in Birmingham")
    assert plain.y == 1, "overlap of all words is taken in"
    half = graded("grounded_new_words", "Cats sleep 2 hours in Birmingham")
    assert (half.y, half.score) == (1, 0.5)
    assert graded("grounded_new_words", "Do cats sleep?").score == 1.0
    assert graded("grounded_new_words", "", status="no_answer").y is None
    for name in ("grounded_new_words", "grounded_lexical"):
        declined = graded(name, "I'm sorry, but the document does not mention that.")
        assert (declined.y, declined.score, declined.reason) == (None, None, "declines to answer")


def test_repeating_the_question_is_no_answer() -> None:
    golds = ("Cats sleep about fifteen hours a day",)
    assert graded("new_words_f1", "Cats sleep twenty hours a day", golds).score == 0.0
    assert graded("content_f1", "Cats sleep twenty hours a day", golds).score > 0.5  # type: ignore[operator]
    assert graded("new_words_f1", "About fifteen", golds).score == 1.0
    best = graded("new_words_f1", "about twenty", ("ten", "about thirty"))
    assert (best.y, best.score) == (1, 0.5)
    assert graded("new_words_f1", "cats", ("cats",)).score == 1.0
    assert graded("new_words_f1", "cats", ("sleep",)).score == 0.0
    assert graded("new_words_f1", "7 hours", ("9 hours",)).score == 0.0
    assert graded("new_words_f1", "7 hours", ("7",)).score == 1.0
    assert graded("content_f1", "7 hours", ("9 hours",)).score == 0.5
    assert graded("new_words_f1", "anything").status == "no_gold"


def test_the_name_says_the_threshold(workspace: Workspace) -> None:
    assert open_grader(workspace, "new_words_f1", 0.3).name == "new_words_f1-v2@0.3"
    assert open_grader(workspace, "grounded_new_words").name == "grounded_new_words-v2@0.4"
    with pytest.raises(InputError, match="cannot have the threshold 2"):
        open_grader(workspace, "grounded_new_words", 2.0)
