"""What the grades of one scope add up to: every request counts, once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ragdiag.records import DEFAULT_GRADER, Grade, Question, Request
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_questions
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
