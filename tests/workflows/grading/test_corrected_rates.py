"""The rate of right answers where some requests were declined or failed: nobody labels those."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ragdiag.errors import UnknownName
from ragdiag.grading.rules import DefaultGrader
from ragdiag.records import DEFAULT_GRADER, Estimate, Grade, Request
from ragdiag.settings import Workspace
from ragdiag.store.calibrations import GraderCalibration, save_calibration
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests, save_findings
from ragdiag.workflows.grading.corrected_rates import correct_rate, sample_to_label
from ragdiag.workflows.grading.grade import grade_requests
from tests.answered import OLD, answer, log

COUNT = 160


@pytest.fixture
def lake(copied: Callable[[Workspace], Lake], answered_corpus: Workspace) -> Lake:
    return copied(answered_corpus)


@pytest.fixture
def asked(lake: Lake, workspace: Workspace) -> list[Request]:
    """Of four requests one is right, one is right in other words, which the grader calls wrong, one
    is declined and one has failed or is empty: half of them are right."""
    nothing: list[dict[str, object]] = [
        {"answer": "", "status": "error"},
        {"answer": "", "status": "ok"},
    ]
    log(
        lake,
        workspace,
        [
            answer(n, OLD, right=n % 4 == 0)
            if n % 4 < 2
            else answer(n, OLD, answer="I give up.", status="no_answer")
            if n % 4 == 2
            else answer(n, OLD, **nothing[n // 4 % 2])
            for n in range(COUNT)
        ],
    )
    requests = load_requests(lake, version_id=OLD.version_id)
    grade_requests(lake, requests, DefaultGrader())
    return requests


def label(lake: Lake, requests: list[Request], y: int) -> None:
    grades = [Grade(one.request_id, "human", y, float(y)) for one in requests]
    save_findings(lake, grades=grades)


def test_what_was_not_answered_is_wrong_whatever_people_say_of_the_answers(
    lake: Lake, asked: list[Request]
) -> None:
    label(lake, [one for one in asked if one.answered][:60], 1)
    found = correct_rate(lake, asked, DEFAULT_GRADER)
    assert (found.rows, found.unanswered, found.labels) == (COUNT, 80, 60)
    assert found.graded.value == 0.25
    assert 0.47 < found.corrected.value <= 0.5
    assert found.corrected.low < found.corrected.high == 0.5
    assert "n = 160, 80 of them without an answer" in found.to_text()
    assert found.to_json()["unanswered"] == 80


def test_requests_without_an_answer_are_no_labels(lake: Lake, asked: list[Request]) -> None:
    label(lake, [one for one in asked if not one.answered], 0)
    label(lake, [one for one in asked if one.answered][:19], 1)
    found = correct_rate(lake, asked, DEFAULT_GRADER)
    assert (found.labels, found.corrected.reason) == (19, "a rate needs 20 labels")


def test_a_label_of_a_declined_request_holds(lake: Lake, asked: list[Request]) -> None:
    label(lake, [one for one in asked if one.answered or one.status == "no_answer"], 1)
    found = correct_rate(lake, asked, DEFAULT_GRADER)
    assert (found.corrected.value, found.labels) == (0.75, 80)


def test_labels_drawn_by_topic_are_rated_by_it(lake: Lake, asked: list[Request]) -> None:
    """All of the 20 answers of topic a are labelled and right, 10 of the 60 of b, and wrong."""
    of_topics = [replace(one, topic="a" if n < 40 else "b") for n, one in enumerate(asked)]
    answered = [one for one in of_topics if one.answered]
    label(lake, answered[:20], 1)
    label(lake, answered[20:30], 0)
    found = correct_rate(lake, of_topics, DEFAULT_GRADER)
    assert (found.corrected.value, found.labels) == (pytest.approx(20 / 160), 30)
    assert found.by == "30 labels of these answers, by topic"
    assert correct_rate(lake, of_topics, DEFAULT_GRADER, strata="topic").corrected == (
        found.corrected
    )
    coarse = correct_rate(lake, of_topics, DEFAULT_GRADER, strata="grade").corrected
    assert coarse.value != coarse.value
    assert coarse.reason == (
        "labels are not spread at random by topic, which these strata leave out"
    )


def test_where_nothing_was_answered_nothing_is_right(lake: Lake, asked: list[Request]) -> None:
    declined = [one for one in asked if not one.answered]
    found = correct_rate(lake, declined, DEFAULT_GRADER)
    assert (found.corrected.value, found.corrected.high, found.labels) == (0, 0, 0)


def test_an_old_calibration_corrects_what_was_answered(lake: Lake, asked: list[Request]) -> None:
    """It found half of the right answers called wrong, and no wrong one called right."""
    found = {
        "sensitivity": Estimate(0.5, 0.43, 0.57, 200).to_json(),
        "specificity": Estimate(1, 0.98, 1, 200).to_json(),
    }
    save_calibration(lake, GraderCalibration(DEFAULT_GRADER, "correct", "old.jsonl", found))
    rate = correct_rate(lake, asked, DEFAULT_GRADER)
    assert (rate.by, rate.corrected.n) == ("the labels of old.jsonl", COUNT)
    assert 0.35 < rate.corrected.low < 0.48 < rate.corrected.high <= 0.5
    label(lake, [one for one in asked if one.answered][:1], 1)
    few = correct_rate(lake, asked, DEFAULT_GRADER)
    assert (few.by, few.labels, few.corrected) == (rate.by, 1, rate.corrected)


def test_a_log_without_texts_is_not_taken_for_one_without_answers(
    lake: Lake, asked: list[Request]
) -> None:
    silent = [replace(one, answer="") for one in asked]
    save_findings(lake, grades=[Grade(one.request_id, "label", 1) for one in asked[:100]])
    with pytest.raises(UnknownName, match="none of these answers has a label, and label was never"):
        correct_rate(lake, silent, "label")


def test_only_answers_are_drawn_for_labels(lake: Lake, asked: list[Request]) -> None:
    lines = sample_to_label(lake, asked, DEFAULT_GRADER, COUNT)
    assert len(lines) == 80
    assert all(line["answer"] and line["propensity"] == 1 for line in lines)


def test_what_was_not_answered_rests_on_nothing(lake: Lake, asked: list[Request]) -> None:
    grades = [Grade(one.request_id, "grounded", 1, 1.0) for one in asked if one.answered]
    labels = [Grade(one.request_id, "human:grounded", 1, 1.0) for one in asked if one.answered]
    save_findings(lake, grades=grades + labels)
    found = correct_rate(lake, asked, "grounded", about="grounded")
    assert (found.rows, found.unanswered, found.corrected.value) == (80, 0, 1)
