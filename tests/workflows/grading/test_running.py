"""Which answers are graded where nobody has yet."""

from __future__ import annotations

from datetime import timedelta

from ragdiag.records import DEFAULT_GRADER, GoldAnswer, Grade, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_gold_answers, add_questions
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_findings
from ragdiag.workflows.grading.running import grade_new_answers
from tests.answered import MONDAY, NEW, OLD, answer, fill_corpus, log


def test_only_answers_that_can_be_graded_and_are_not(lake: Lake, workspace: Workspace) -> None:
    fill_corpus(workspace)
    hidden = "[text 00112233445566778899aabbccddeeff]"
    log(
        lake,
        workspace,
        [
            answer(0, OLD, traffic="production"),
            answer(1, OLD, traffic="production", right=False),
            answer(2, OLD, traffic="production", right=False),
            answer(3, OLD, traffic="production", question_id=None, question="Another one?"),
            answer(4, OLD, traffic="production", answer=hidden),
            answer(5, OLD, traffic="production", asked_at=MONDAY - timedelta(days=1)),
            answer(6, NEW, traffic="canary"),
            answer(7, OLD, traffic="production"),
        ],
    )
    add_gold_answers(lake, [GoldAnswer("q7", (hidden,))])
    save_findings(
        lake,
        grades=[
            Grade("old-00002", "contains_or_f1", 1),
            Grade("old-00001", "judge:x", 1),
            Grade("old-00000", "contains_or_f1", None, status="no_gold"),  # its gold came later
        ],
    )
    assert grade_new_answers(lake, OLD.version_id, MONDAY) == 3
    assert grade_new_answers(lake, OLD.version_id, MONDAY) == 0
    found = lake.rows(
        "select request_id, y from latest_grades where grader = ? order by 1", [DEFAULT_GRADER]
    )
    # The third had a grade of the first version alone.
    assert {row["request_id"]: row["y"] for row in found} == {
        "old-00000": 1,
        "old-00001": 0,
        "old-00002": 0,
    }


def test_a_request_that_names_no_question_is_known_by_its_text(
    lake: Lake, workspace: Workspace
) -> None:
    fill_corpus(workspace)
    ambiguous = [Question(f"twin{n}", "What is a conclusion?") for n in (1, 2)]
    redacted = Question("redacted", "When did [email] join?")
    add_questions(lake, [*ambiguous, redacted])
    add_gold_answers(
        lake, [GoldAnswer(one.question_id, ("set to 1",)) for one in (*ambiguous, redacted)]
    )
    asked: list[dict[str, object]] = [
        {"question": "How is item 1 set?"},
        {"question": "how is  ITEM 1 set", "right": False},
        {"question": "How is item 1 not set?"},
        {"question": "What is a conclusion?"},
        {"question": "When did [email] join?"},
        {"question": "How is item 1 set?", "tenant": "acme"},
        {"question": "How is item 1 set?", "roles": ("legal",)},
        {"question": "How is item 1 set?", "question_id": "unknown"},
    ]
    log(
        lake,
        workspace,
        [
            answer(1, OLD, traffic="canary", request_id=f"r{n}", **{"question_id": None, **changes})
            for n, changes in enumerate(asked)
        ],
    )
    assert grade_new_answers(lake, OLD.version_id, MONDAY) == 2
    found = lake.rows("select request_id, y from latest_grades order by 1")
    assert found == [{"request_id": "r0", "y": 1}, {"request_id": "r1", "y": 0}]
