from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ragdiag.records import GoldAnswer, Question, Request
from ragdiag.settings import Workspace
from ragdiag.store.gold import GoldChange, add_gold_answers, add_questions, load_gold_answers
from ragdiag.store.ingest import ingest
from ragdiag.store.judgments import load_questions
from ragdiag.store.lake import Lake
from ragdiag.store.spool import SpoolWriter

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


def test_texts_are_redacted(lake: Lake) -> None:
    telling = Question("q1", "Who is ann@example.org?", "ann@example.org")
    first = (
        add_questions(lake, [telling]),
        add_gold_answers(lake, [GoldAnswer("q1", ("Ann", "ann@example.org"))]),
    )
    assert first == (GoldChange(1, 0, 0), GoldChange(1, 0, 0))
    assert load_questions(lake) == [Question("q1", "Who is [email]?", "[email]")]
    assert load_gold_answers(lake) == {"q1": ("Ann", "[email]")}
    assert add_questions(lake, [telling]) == GoldChange(0, 0, 1)


def test_what_a_user_asked_comes_in_as_the_log_has_it(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    workspace.configuration.write_text("[privacy]\nstore_text = false\n")
    with SpoolWriter(workspace) as spool:
        spool.write(make_request(1, question=CATS.text))
    ingest(lake, workspace)
    ((hidden,),) = [tuple(row.values()) for row in lake.rows("select question from requests")]
    add_questions(lake, [CATS, TEA])
    assert load_questions(lake) == [replace(CATS, text=hidden), TEA]
    add_gold_answers(lake, [GoldAnswer("q1", ("fifteen hours",)), GoldAnswer("q2", ("80 °C",))])
    assert load_gold_answers(lake) == {"q2": ("80 °C",)}
    assert "fifteen" not in repr(lake.rows("from gold_answers"))
    assert add_questions(lake, [CATS, TEA]) == GoldChange(0, 0, 2)
