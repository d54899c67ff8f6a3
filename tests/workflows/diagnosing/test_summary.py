"""What the grades of one scope add up to: every request counts, once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ragdiag.records import DEFAULT_GRADER, Diagnosis, Grade, Question, Request
from ragdiag.settings import Workspace
from ragdiag.stats.intervals import wilson
from ragdiag.store.corpus import add_questions
from ragdiag.store.gold_marks import gold_mark
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests, save_findings
from ragdiag.workflows.diagnosing.summary import summarise
from tests.answered import OLD, QUESTIONS, answer, log


@pytest.fixture
def lake(copied: Callable[[Workspace], Lake], answered_corpus: Workspace) -> Lake:
    return copied(answered_corpus)


def graded(lake: Lake, workspace: Workspace, requests: list[Request]) -> list[Request]:
    """As the log has them, with the grade that their answers deserve."""
    log(lake, workspace, requests)
    grades = [
        Grade(one.request_id, DEFAULT_GRADER, int(one.answer != "Nobody knows."))
        for one in requests
    ]
    save_findings(lake, grades=grades, replays=[], diagnoses=[])
    return load_requests(lake, version_id=OLD.version_id)


def test_every_answer_to_a_question_counts_in_its_kind(lake: Lake, workspace: Workspace) -> None:
    add_questions(lake, [Question("q1", "How is item 1 set?", "others")])
    asked = graded(
        lake,
        workspace,
        [
            answer(0, OLD),
            answer(1, OLD, right=False),
            answer(QUESTIONS + 1, OLD, right=False),
            answer(2 * QUESTIONS + 1, OLD),
        ],
    )
    found = summarise(lake, OLD, asked)
    assert (found.failures, found.n) == (2, 4)
    by_topic = {one.name: one.failures for one in found.failing if one.kind == "topic"}
    assert {name: (one.value, one.n) for name, one in by_topic.items()} == {
        "items": (0.0, 1),
        "others": (pytest.approx(2 / 3), 3),
    }


def test_a_sampled_answer_counts_for_those_it_stands_for(lake: Lake, workspace: Workspace) -> None:
    """Ten failures were kept for certain, forty right answers stand for four hundred."""
    failed = [answer(n, OLD, right=False) for n in range(10)]
    drawn = [answer(n, OLD, keep_probability=0.1) for n in range(10, 50)]
    silent = answer(50, OLD, keep_probability=0.1)
    graded(lake, workspace, [*failed, *drawn])
    log(lake, workspace, [silent])
    asked = load_requests(lake, version_id=OLD.version_id)
    found = summarise(lake, OLD, asked, gold_accuracy=0.99)
    assert (found.failures, found.ungraded, found.sampled, found.n) == (10, 1, 41, 51)
    assert found.failed.value == pytest.approx(10 / 410)
    assert found.failed.low < 10 / 410 < found.failed.high < 10 / 50
    assert found.failed_bounds == (pytest.approx(10 / 420), pytest.approx(20 / 420))
    assert found.headroom["tau_bounds"].low == pytest.approx(1 - 0.01 / (10 / 410))
    assert "41 were sampled: of all requests 2.4% fail (" in found.to_text()
    assert found.to_json()["sampled"] == 41


def test_a_log_of_everything_is_counted_plainly(lake: Lake, workspace: Workspace) -> None:
    asked = graded(lake, workspace, [answer(n, OLD, right=n > 2) for n in range(10)])
    found = summarise(lake, OLD, asked)
    assert found.failed == wilson(3, 10)
    assert "sampled" not in found.to_json()
    assert "sampled" not in found.to_text()


def test_kinds_of_question_are_weighed_too(lake: Lake, workspace: Workspace) -> None:
    add_questions(lake, [Question("q1", "How is item 1 set?", "others")])
    logged = [
        answer(0, OLD),
        answer(1, OLD, right=False),
        answer(QUESTIONS + 1, OLD, keep_probability=0.1),
    ]
    found = summarise(lake, OLD, graded(lake, workspace, logged))
    rates = {one.name: one.failures.value for one in found.failing if one.kind == "topic"}
    assert rates == {"items": 0.0, "others": pytest.approx(1 / 11)}


def test_gold_that_nobody_may_find_is_outside_the_headroom(
    lake: Lake, workspace: Workspace
) -> None:
    asked = graded(lake, workspace, [answer(n, OLD, right=False) for n in range(2)])
    mark = gold_mark(["p0"], ["set to 0"])
    replayed = {"y": 0, "p": {"r": 0.0, "g": 1.0}, "gold_mark": mark}
    hidden = {"y": 0, "gold_mark": gold_mark(["p1"], ["set to 1"])}
    found = [
        Diagnosis(asked[0].request_id, "recall_miss", "retrieval", "g", "A", replayed),
        Diagnosis(asked[1].request_id, "gold_withheld", "undetermined", "", "B", hidden),
    ]
    save_findings(lake, grades=[], replays=[], diagnoses=found)
    told = summarise(lake, OLD, asked)
    assert told.causes == {"recall_miss": 1, "gold_withheld": 1}
    assert (told.headroom["tau_bounds"].n, told.headroom["tau_bounds"].low) == (1, 1.0)
