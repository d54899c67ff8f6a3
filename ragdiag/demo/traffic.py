"""Twelve weeks of questions: which, when and by whom; really asked, and what users made of it.

Everything that chance decides here depends on names alone (a request's id, a question's id), so a
build that was stopped goes on as if it had not been.

Feedback is made by a stated rule from the outcome Y of the request (METHODS.md §2):

| event        | when Y = 1        | when Y = 0        | of whom                              |
|--------------|-------------------|-------------------|--------------------------------------|
| click        | with chance .60   | with chance .15   | everybody; on the first citation     |
| task success | 1 with chance .85 | 1 with chance .20 | everybody                            |
| thumbs       | up with chance .9 | down, chance .9   | the fifth of the users who give them |
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from ragdiag.demo.chance import pick, stable_fraction
from ragdiag.demo.questions import Asked
from ragdiag.demo.schedule import (
    LATE_INTEREST,
    LATE_WEEK,
    REBUILD_WEEK,
    SHIFT,
    SHIFTED_PACKAGE,
    WEEKS,
    Week,
)
from ragdiag.metrics.answers import grade_answer
from ragdiag.pipeline import PRODUCTION_LOG_DEPTH, Pipeline
from ragdiag.records import Feedback, FeedbackKind, Request

CLICK = {1: 0.60, 0: 0.15}
SUCCESS = {1: 0.85, 0: 0.20}
THUMBS_USERS = 0.20
THUMBS_ACCURACY = 0.90
USERS = 120
DAY_SHARES = {0: 0.19, 1: 0.20, 2: 0.19, 3: 0.18, 4: 0.14, 5: 0.05, 6: 0.05}
"""Monday is 0."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One question that a user will ask of one version."""

    request_id: str
    asked_at: datetime
    version: str
    user_key: str
    asked: Asked


def first_monday(today: date) -> date:
    """The Monday on which week 1 starts, so that the last week is the last full one before
    ``today``.

    >>> first_monday(date(2026, 3, 25))  # a Wednesday
    datetime.date(2025, 12, 29)
    """
    this_monday = today - timedelta(days=today.weekday())
    return this_monday - timedelta(weeks=len(WEEKS))


def plan_week(
    week: Week, start: date, n: int, questions: Sequence[Asked], late: frozenset[str]
) -> list[Visit]:
    """The ``n`` visits of ``week`` in the order in which they happen.

    ``late`` are entries whose documents are ingested before LATE_WEEK: nobody asks about them
    earlier. Some questions are asked far more often than others.
    """
    by_id = {asked.question.question_id: asked for asked in questions}
    weights = {question_id: _interest(asked, week, late) for question_id, asked in by_id.items()}
    visits = []
    for number in range(n):
        request_id = f"demo-{week.number:02}-{number:04}"
        user = f"user-{int(stable_fraction(request_id, 'user') * USERS):03}"
        visits.append(
            Visit(
                request_id=request_id,
                asked_at=_moment(request_id, start + timedelta(weeks=week.number - 1)),
                version=pick(week.versions, stable_fraction(request_id, "version")),
                user_key=user,
                asked=by_id[pick(weights, stable_fraction(request_id, "question"))],
            )
        )
    return sorted(visits, key=lambda visit: visit.asked_at)


def make_visit(pipeline: Pipeline, visit: Visit) -> Request:
    """Ask; production keeps the first hits of each list only."""
    request = pipeline.ask(
        visit.asked.question.text,
        question_id=visit.asked.question.question_id,
        topic=visit.asked.question.topic,
        traffic="production",
        asked_at=visit.asked_at,
        request_id=visit.request_id,
        log_depth=PRODUCTION_LOG_DEPTH,
    )
    return replace(request, user_key=visit.user_key)


def give_feedback(
    requests: Iterable[Request], golds: Mapping[str, Sequence[str]]
) -> Iterator[Feedback]:
    """What users did with these answers, by the rule of the module's table.

    A request without a gold answer gets no feedback: nothing says what its user thought.
    """
    for request in requests:
        gold = golds.get(request.question_id or "")
        y = grade_answer(request.request_id, request.answer, request.status, gold).y
        if y is not None:
            yield from _reactions(request, y)


def _reactions(request: Request, y: int) -> Iterator[Feedback]:
    def chance(of: str) -> float:
        return stable_fraction(request.request_id, of)

    if request.citations and chance("click") < CLICK[y]:
        yield _feedback(request, "click", 1.0, 20, request.citations[0])
    yield _feedback(request, "task_success", float(chance("success") < SUCCESS[y]), 180)
    if stable_fraction(request.user_key or "", "gives thumbs") < THUMBS_USERS:
        honest = 1.0 if y else -1.0
        yield _feedback(
            request, "thumbs", honest if chance("thumbs") < THUMBS_ACCURACY else -honest, 60
        )


def _feedback(
    request: Request, kind: FeedbackKind, value: float, seconds: int, passage_id: str | None = None
) -> Feedback:
    return Feedback(
        feedback_id=f"{request.request_id}-{kind}",
        request_id=request.request_id,
        given_at=request.asked_at + timedelta(seconds=seconds),
        kind=kind,
        value=value,
        passage_id=passage_id,
    )


def _interest(asked: Asked, week: Week, late: frozenset[str]) -> float:
    rank = stable_fraction(asked.question.question_id, "popularity")
    popularity = 1 / math.sqrt(rank + 0.02)
    if asked.entry in late:
        if week.number < LATE_WEEK:
            return 0.0
        if week.number < REBUILD_WEEK:
            popularity *= LATE_INTEREST
    if week.fault == "topic_shift" and asked.question.topic.split(".")[0] == SHIFTED_PACKAGE:
        popularity *= SHIFT
    return popularity


def _moment(request_id: str, monday: date) -> datetime:
    """A moment of that week, mostly on a working day between seven and seven (UTC)."""
    day = pick(DAY_SHARES, stable_fraction(request_id, "day"))
    seconds = 7 * 3600 + int(stable_fraction(request_id, "time") * 12 * 3600)
    midnight = datetime.combine(monday + timedelta(days=day), time(), tzinfo=UTC)
    return midnight + timedelta(seconds=seconds)
