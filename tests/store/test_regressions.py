"""Regression questions: added with why, dropped with why, kept when their request is gone."""

from __future__ import annotations

import pytest

from ragdiag.errors import InputError, UnknownName
from ragdiag.records import Judgment, Question
from ragdiag.store.corpus import add_judgments, add_questions
from ragdiag.store.lake import Lake
from ragdiag.store.regressions import (
    Regression,
    add_regressions,
    drop_regression,
    load_regressions,
    mended_failures,
)
from ragdiag.store.upkeep.removal import remove_requests
from tests.toy_lake import versions


@pytest.fixture
def judged(lake: Lake) -> Lake:
    add_questions(lake, [Question(name, f"What is {name}?") for name in ("q1", "q2", "q3")])
    add_judgments(lake, [Judgment(q, "p", 1, "test") for q in ("q1", "q2")], foreign=True)
    return lake


def ids(lake: Lake, set_name: str = "regressions") -> list[str]:
    return [one.question_id for one in load_regressions(lake, set_name)]


def test_what_was_dropped_can_come_back(judged: Lake) -> None:
    given = [Regression("q2", "r-2", "lost by fusion"), Regression("q1")]
    assert add_regressions(judged, given) == ["q2", "q1"]
    assert add_regressions(judged, [Regression("q1"), Regression("q1")]) == []
    (first, second) = sorted(load_regressions(judged), key=lambda one: one.question_id)
    assert (second.from_request, second.reason) == ("r-2", "lost by fusion")
    assert first.added_at is not None
    drop_regression(judged, "q1", "asked twice")
    assert ids(judged) == ["q2"]
    assert add_regressions(judged, [Regression("q1")]) == ["q1"]
    assert set(ids(judged)) == {"q1", "q2"}
    rows = judged.rows("select state, reason from regression_questions where question_id = 'q1'")
    assert [row["state"] for row in rows] == ["added", "dropped", "added"]


def test_sets_are_apart(judged: Lake) -> None:
    add_regressions(judged, [Regression("q1")], "legal")
    assert ids(judged, "legal") == ["q1"]
    assert ids(judged) == []
    with pytest.raises(UnknownName, match="'q1' is not in the set 'regressions'"):
        drop_regression(judged, "q1", "")


def test_a_question_that_cannot_be_checked_is_refused_and_nothing_is_added(judged: Lake) -> None:
    with pytest.raises(UnknownName, match="no question 'q9'; import it first"):
        add_regressions(judged, [Regression("q1"), Regression("q9")])
    with pytest.raises(InputError, match="no passage is known that answers question 'q3'"):
        add_regressions(judged, [Regression("q1"), Regression("q3")])
    assert ids(judged) == []


def test_a_question_stays_when_its_request_leaves(judged: Lake) -> None:
    add_regressions(judged, [Regression("q1", "r-1")])
    judged.write(lambda cursor: remove_requests(cursor, ["r-1"], "expired"))
    assert ids(judged) == ["q1"]


def test_failures_that_a_version_mended_are_found(toy_lake: Lake) -> None:
    """Of every question with an earlier wrong answer, those that the version's evaluation got
    right; counted again by a plain loop."""
    version = versions()[2]
    rows = toy_lake.rows(
        "select r.question_id, r.request_id, r.version_id, r.traffic, r.asked_at, g.y "
        "from requests r join latest_grades g using (request_id) order by r.asked_at"
    )
    evaluated = {
        row["question_id"]: row
        for row in rows
        if row["version_id"] == version.version_id and row["traffic"] == "evaluation"
    }
    expected = {}
    for row in rows:
        mended = evaluated.get(row["question_id"])
        if mended and mended["y"] == 1 and row["y"] == 0 and row["asked_at"] < mended["asked_at"]:
            expected[row["question_id"]] = row["request_id"]
    found = mended_failures(toy_lake, version.version_id)
    assert len(expected) > 5
    assert {one.question_id: one.from_request for one in found} == expected
