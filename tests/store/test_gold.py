from __future__ import annotations

from dataclasses import replace

import pytest

from ragdiag.records import GoldAnswer, Question
from ragdiag.store.gold import GoldChange, add_gold_answers, add_questions, load_gold_answers
from ragdiag.store.judgments import load_questions
from ragdiag.store.lake import Lake

CATS = Question("q1", "How long do cats sleep?", "cats")
TEA = Question("q2", "How hot is green tea?")


def test_questions_are_added_replaced_and_left_alone(lake: Lake) -> None:
    assert add_questions(lake, [TEA, CATS]) == GoldChange(2, 0, 0)
    assert load_questions(lake) == [CATS, TEA]
    other = replace(TEA, topic="drinks")
    assert add_questions(lake, [CATS, other]) == GoldChange(0, 1, 1)
    assert load_questions(lake) == [CATS, other]


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (Question("", "Who?"), "empty question id"),
        (Question("q9", " \t"), "empty question"),
        (Question("q9", "\udfff?"), "not valid Unicode"),
        (Question("q1", "How long do dogs sleep?"), "'q1' is given twice"),
    ],
)
def test_bad_questions_are_rejected(lake: Lake, question: Question, reason: str) -> None:
    change = add_questions(lake, [CATS, CATS, question])
    assert change.added == 1
    (reject,) = change.rejects
    assert (reject.source, reject.line) == ("questions", 3)
    assert reject.reason.startswith(reason)
    assert load_questions(lake) == [CATS]


def test_gold_answers_are_added_and_replaced(lake: Lake) -> None:
    add_questions(lake, [CATS, TEA])
    first = [GoldAnswer("q1", ("fifteen hours", "15 h")), GoldAnswer("q2", ("80 °C",))]
    assert add_gold_answers(lake, first) == GoldChange(2, 0, 0)
    assert add_gold_answers(lake, first) == GoldChange(0, 0, 2)
    assert add_gold_answers(lake, [GoldAnswer("q2", ("eighty",))]) == GoldChange(0, 1, 0)
    assert load_gold_answers(lake) == {"q1": ("fifteen hours", "15 h"), "q2": ("eighty",)}


def test_bad_gold_answers_are_rejected(lake: Lake) -> None:
    add_questions(lake, [CATS, TEA])
    change = add_gold_answers(
        lake,
        [
            GoldAnswer("q1", ("fifteen hours",)),
            GoldAnswer("q7", ("seven",)),
            GoldAnswer("q2", ()),
            GoldAnswer("q2", (" ",)),
            GoldAnswer("q1", ("nine hours",)),
            GoldAnswer("q2", ("\ud800",)),
            GoldAnswer("\ud800", ("eight",)),
        ],
    )
    assert [(reject.line, reject.reason.split(";")[0]) for reject in change.rejects] == [
        (2, "unknown question 'q7'"),
        (3, "no answer"),
        (4, "no answer"),
        (5, "'q1' is given twice with different content"),
        (6, "not valid Unicode (a lone surrogate or a NUL)"),
        (7, "unknown question '\\ud800'"),
    ]
    assert load_gold_answers(lake) == {"q1": ("fifteen hours",)}
