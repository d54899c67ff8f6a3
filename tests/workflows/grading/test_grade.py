"""Grading a version's answers: beside the default grade, resumable, nothing dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ragdiag.errors import GeneratorDown
from ragdiag.grading.contract import Item, Subject
from ragdiag.grading.groundedness import CitationGrader, GroundednessGrader, lexical_support
from ragdiag.grading.rules import DefaultGrader, rule_grader
from ragdiag.progress import Progress
from ragdiag.records import (
    DEFAULT_GRADER,
    ContextHit,
    GoldAnswer,
    Grade,
    Passage,
    Question,
    Request,
)
from ragdiag.settings import Workspace
from ragdiag.store.contexts import load_contexts
from ragdiag.store.corpus import add_documents, add_gold_answers, add_questions
from ragdiag.store.findings import load_grades
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests, save_findings
from ragdiag.workflows.grading.grade import grade_requests
from tests.answered import OLD, answer, log

HIDDEN = "[text 00112233445566778899aabbccddeeff]"


@pytest.fixture
def lake(copied: Callable[[Workspace], Lake], answered_corpus: Workspace) -> Lake:
    return copied(answered_corpus)


@pytest.fixture
def asked(lake: Lake, workspace: Workspace) -> list[Request]:
    """Ten answers: two wrong, one without gold, one whose text is not stored."""
    logged = [answer(n, OLD, right=n not in (1, 2)) for n in range(8)]
    logged += [answer(8, OLD, question_id=None), answer(9, OLD, answer=HIDDEN)]
    given = [
        replace(
            request,
            context=(ContextHit(f"p{n}", 1.0, 20),),
            citations=(f"p{n}",),
        )
        for n, request in enumerate(logged)
    ]
    log(lake, workspace, given)
    return load_requests(lake, version_id=OLD.version_id)


def test_grades_stand_beside_others_and_unknown_ones_bound_the_rate(
    lake: Lake, asked: list[Request]
) -> None:
    found = grade_requests(lake, asked, rule_grader("numeric", None))
    assert (found.n, found.graded, found.right.n) == (10, 10, 8)
    assert found.right.value == 0.75
    assert found.undecided == {"no_gold": 1, "undefined": 1}
    assert found.bounds == (0.6, 0.8)
    assert "over all answers 60.0% to 80.0%" in found.to_text()
    again = grade_requests(lake, asked, rule_grader("numeric", None))
    assert (again.graded, again.right) == (0, found.right)
    assert grade_requests(lake, asked, rule_grader("numeric", None), again=True).graded == 10
    assert grade_requests(lake, asked, rule_grader("exact_match", None)).right.value == 0


def test_what_had_no_gold_is_graded_once_it_has(lake: Lake, asked: list[Request]) -> None:
    add_questions(lake, [Question("late", "How is item 3 set?"), Question("words", "How?")])
    add_gold_answers(lake, [GoldAnswer("words", ("by hand",))])
    late = [
        replace(asked[3], request_id="late", question_id="late"),
        replace(asked[3], request_id="words", question_id="words"),
    ]
    numeric = rule_grader("numeric", None)
    assert grade_requests(lake, late, numeric).undecided == {"no_gold": 1, "undefined": 1}
    assert grade_requests(lake, late, numeric).graded == 0
    add_gold_answers(lake, [GoldAnswer("late", ("set to 3",)), GoldAnswer("words", ("to 3",))])
    found = grade_requests(lake, late, numeric)
    assert (found.graded, found.right.value, found.undecided) == (2, 1.0, {})


def test_what_the_first_version_graded_is_graded_anew_unless_its_text_is_gone(
    lake: Lake, asked: list[Request]
) -> None:
    names = [request.request_id for request in asked]
    save_findings(lake, grades=[Grade(name, "contains_or_f1", 0, 0.0) for name in names])
    found = grade_requests(lake, asked, DefaultGrader())
    assert (found.graded, found.right.value, found.right.n) == (9, 6 / 9, 9)
    assert found.undecided == {"no_gold": 1}
    assert load_grades(lake, DEFAULT_GRADER, names)[names[9]].grader == "contains_or_f1"
    assert grade_requests(lake, asked, DefaultGrader()).graded == 0
    assert grade_requests(lake, asked, DefaultGrader(), again=True).right == found.right


def test_contexts_are_what_the_prompt_held_at_the_time(lake: Lake, asked: list[Request]) -> None:
    add_documents(lake, [Passage("p0", "p0", "Something else entirely.")])
    contexts = load_contexts(lake, asked)
    # The corpus came after these requests: the text nearest to them is its first.
    assert contexts["old-00000"][0].text == "Item 0 is set to 0."
    assert contexts["old-00004"][0].text == "Item 4 is set to 4."
    strange = replace(asked[0], context=(ContextHit("unheard of", 1.0, 9),))
    assert load_contexts(lake, [strange]) == {}


def test_groundedness_and_citations_of_logged_answers(lake: Lake, asked: list[Request]) -> None:
    grounded = GroundednessGrader("grounded_lexical", lexical_support, 0.6)
    found = grade_requests(lake, asked, grounded)
    assert found.right.value == pytest.approx(7 / 9)  # "Nobody knows." stands nowhere
    assert grade_requests(lake, asked, CitationGrader("recall")).right.value == pytest.approx(7 / 9)


class Failing:
    """Decides the first ``until`` answers it is given, then is down."""

    name = "failing-v1"
    about: Subject = "correct"

    def __init__(self, until: int) -> None:
        self.seen: list[str] = []
        self._until = until

    def grade(self, items: list[Item], progress: Progress | None = None) -> list[Grade]:
        grades = []
        for item in items:
            if len(self.seen) == self._until:
                raise GeneratorDown("it is down", remedy="wait")
            self.seen.append(item.item_id)
            failed = item.item_id == "old-00000"
            status = "judge_error" if failed else "ok"
            grades.append(Grade(item.item_id, self.name, None if failed else 1, 1.0, status))  # type: ignore[arg-type]
        return grades


def test_what_was_graded_before_a_failure_is_kept_and_failures_are_tried_again(
    lake: Lake, asked: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragdiag.workflows.grading.grade.BATCH", 4)
    with pytest.raises(GeneratorDown):
        grade_requests(lake, asked, Failing(6))  # type: ignore[arg-type]
    names = [request.request_id for request in asked]
    assert len(load_grades(lake, "failing-v1", names)) == 4
    rest = Failing(99)
    found = grade_requests(lake, asked, rest)  # type: ignore[arg-type]
    assert set(rest.seen) == {"old-00000", *names[4:9]}
    assert (found.graded, found.right.n) == (7, 8)
