"""Who asks what and when, and what users make of the answers."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from ragdiag.demo.questions import Asked
from ragdiag.demo.schedule import LATE_WEEK, REBUILD_WEEK, WEEKS, Week
from ragdiag.demo.traffic import Visit, first_monday, give_feedback, plan_week
from ragdiag.records import Feedback, GoldAnswer, Question, Request

MONDAY = date(2026, 1, 5)


def ask_about(entry: str, topic: str = "numpy") -> Asked:
    question = Question(f"{entry}:summary", f"What does {entry} do?", topic)
    return Asked(question, "summary", entry, "train", (), GoldAnswer(question.question_id, ("x",)))


QUESTIONS = [ask_about(f"numpy.f{n}") for n in range(30)]
QUESTIONS += [ask_about(f"torch.f{n}", "torch.nn") for n in range(10)]
LATE = frozenset({"numpy.f0", "numpy.f1", "numpy.f2", "numpy.f3"})


def plan(number: int, n: int = 400) -> list[Visit]:
    return plan_week(WEEKS[number - 1], MONDAY, n, QUESTIONS, LATE)


@pytest.mark.parametrize("today", [date(2026, 3, 23), date(2026, 3, 26), date(2026, 3, 29)])
def test_the_last_week_is_the_last_full_one_before_today(today: date) -> None:
    last_sunday = first_monday(today) + timedelta(weeks=12, days=-1)

    assert last_sunday == date(2026, 3, 22)
    assert first_monday(today).weekday() == 0


def test_visits_lie_in_their_week_and_are_in_order() -> None:
    visits = plan(3)
    start = datetime(2026, 1, 19, tzinfo=UTC)

    assert all(start <= visit.asked_at < start + timedelta(weeks=1) for visit in visits)
    assert visits == sorted(visits, key=lambda visit: visit.asked_at)
    assert len({visit.request_id for visit in visits}) == 400


def test_a_week_is_planned_the_same_twice() -> None:
    assert plan(5) == plan(5)
    assert plan(5)[0].request_id not in {visit.request_id for visit in plan(6)}


def test_versions_get_their_shares() -> None:
    shares = Counter(visit.version for visit in plan(3))

    assert shares["lexical"] == pytest.approx(160, abs=40)
    assert shares.keys() == {"lexical", "dense"}


def test_nobody_asks_about_documents_that_are_not_there_and_many_about_new_ones() -> None:
    def late_share(number: int) -> float:
        return sum(visit.asked.entry in LATE for visit in plan(number)) / 400

    assert late_share(LATE_WEEK - 1) == 0.0
    assert late_share(LATE_WEEK) > 1.5 * late_share(REBUILD_WEEK) > 0


def test_the_topic_shift_moves_the_mix_in_its_week_alone() -> None:
    def torch_share(number: int) -> float:
        return sum(visit.asked.question.topic == "torch.nn" for visit in plan(number)) / 400

    assert torch_share(4) > 2 * torch_share(3)
    assert torch_share(5) < 1.5 * torch_share(3)


def requests(n: int, answer: str) -> list[Request]:
    return [
        Request(
            request_id=f"r{number}",
            asked_at=datetime(2026, 1, 5, 9, tzinfo=UTC),
            version_id="v",
            traffic="production",
            question="What?",
            question_id="q",
            user_key=f"user-{number % 50}",
            answer=answer,
            citations=("p1", "p2"),
        )
        for number in range(n)
    ]


def rates(answer: str, n: int = 1500) -> dict[str, float]:
    given = list(give_feedback(requests(n, answer), {"q": ("right",)}))
    thumbs = [feedback.value for feedback in given if feedback.kind == "thumbs"]
    return {
        "click": sum(feedback.kind == "click" for feedback in given) / n,
        "success": sum(f.value for f in given if f.kind == "task_success") / n,
        "thumbs": len(thumbs) / n,
        "up": thumbs.count(1.0) / len(thumbs),
    }


def test_feedback_follows_the_stated_rule() -> None:
    right, wrong = rates("right"), rates("wrong")

    assert right["click"] == pytest.approx(0.60, abs=0.05)
    assert wrong["click"] == pytest.approx(0.15, abs=0.05)
    assert right["success"] == pytest.approx(0.85, abs=0.05)
    assert wrong["success"] == pytest.approx(0.20, abs=0.05)
    assert right["up"] == pytest.approx(0.90, abs=0.06)
    assert wrong["up"] == pytest.approx(0.10, abs=0.06)
    assert right["thumbs"] == wrong["thumbs"] == pytest.approx(0.2, abs=0.1)


def test_feedback_is_the_same_twice_and_comes_after_the_question() -> None:
    asked = requests(40, "right")
    given = list(give_feedback(asked, {"q": ("right",)}))

    assert given == list(give_feedback(asked, {"q": ("right",)}))
    assert len({feedback.feedback_id for feedback in given}) == len(given)
    assert all(feedback.given_at > asked[0].asked_at for feedback in given)
    clicks = [feedback for feedback in given if feedback.kind == "click"]
    assert {feedback.passage_id for feedback in clicks} == {"p1"}


def test_without_a_gold_answer_nobody_says_what_a_user_thought() -> None:
    feedback: list[Feedback] = list(give_feedback(requests(5, "right"), {}))

    assert feedback == []


def test_the_schedule_can_be_any_week() -> None:
    week = Week(1, {"lexical": 1.0})

    assert {v.version for v in plan_week(week, MONDAY, 5, QUESTIONS, LATE)} == {"lexical"}
