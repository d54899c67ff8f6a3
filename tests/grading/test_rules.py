"""Graders by rule: what is right, what is wrong, and what cannot be said."""

from __future__ import annotations

import pytest

from ragdiag.errors import InputError, UnknownName
from ragdiag.grading.contract import Item
from ragdiag.grading.graders import LOCAL, open_grader
from ragdiag.grading.rules import rule_grader
from ragdiag.settings import Workspace

ITEM = Item("r1", "How long?", "It takes about 1,440 minutes.", golds=("one day", "24 hours"))


@pytest.mark.parametrize(
    ("name", "y"),
    [
        ("exact_match", 0),
        ("contains_answer", 0),
        ("token_f1", 0),
        ("content_f1", 0),
        ("numeric", 1),
    ],
)
def test_each_rule_has_its_own_opinion(name: str, y: int) -> None:
    (grade,) = rule_grader(name, None).grade([ITEM])
    assert (grade.request_id, grade.y, grade.status) == ("r1", y, "ok")


def test_a_threshold_decides_and_is_part_of_the_name() -> None:
    item = Item("r", "q", "cats sleep long", golds=("cats sleep fifteen hours",))
    strict, mild = rule_grader("token_f1", 0.9), rule_grader("token_f1", 0.3)
    assert (strict.name, mild.name) == ("token_f1-v2@0.9", "token_f1-v2@0.3")
    assert strict.grade([item])[0].y == 0
    assert mild.grade([item])[0].y == 1


@pytest.mark.parametrize("name", ["content_f1", "new_words_f1"])
@pytest.mark.parametrize(
    ("answer", "gold", "y"),
    [
        ("7", "9", 0),
        ("7", "7", 1),
        ("It is B", "A", 0),
        ("It is", "no", 0),
        ("No.", "no", 1),
        ("→", "←", 0),
        ("the dog's", "dog", 1),
    ],
)
def test_an_answer_without_longer_words_is_right_only_if_it_says_the_same(
    name: str, answer: str, gold: str, y: int
) -> None:
    grader = rule_grader(name, None)
    assert grader.name == f"{name}-v2@0.5"
    (grade,) = grader.grade([Item("r", "Which?", answer, golds=(gold,))])
    assert (grade.y, grade.score) == (y, y)


def test_what_needs_no_thought() -> None:
    grader = rule_grader("numeric", None)
    no_gold, declined, no_number = grader.grade(
        [
            Item("a", "q", "7"),
            Item("b", "q", "", "no_answer", ("7",)),
            Item("c", "q", "7", golds=("many",)),
        ]
    )
    assert (no_gold.y, no_gold.status) == (None, "no_gold")
    assert (declined.y, declined.reason) == (0, "no answer was given")
    assert (no_number.y, no_number.score, no_number.status) == (None, None, "undefined")


def test_names_and_thresholds_that_are_none(workspace: Workspace) -> None:
    with pytest.raises(UnknownName, match="no grader 'judge:'; name one of: contains_or_f1"):
        open_grader(workspace, "judge:")
    with pytest.raises(InputError, match="numeric takes no threshold"):
        open_grader(workspace, "numeric", 0.5)
    with pytest.raises(InputError, match="token_f1 cannot have the threshold"):
        open_grader(workspace, "token_f1", 1.5)
    assert open_grader(workspace, "contains_or_f1").grade([ITEM])[0].y == 0
    assert "grounded_lexical" in LOCAL
