"""A small log to mine: who asked what, what was shown, what they said of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ragdiag.records import ContextHit, Diagnosis, Feedback, Hit, Request

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


def asked(
    name: str,
    question: str,
    shown: tuple[str, ...] = ("a", "b", "c"),
    *,
    question_id: str | None = None,
    citations: tuple[str, ...] = (),
    day: int = 0,
) -> Request:
    return Request(
        request_id=name,
        asked_at=MONDAY + timedelta(days=day),
        version_id="v1",
        traffic="production",
        question=question,
        question_id=question_id,
        citations=citations,
        fused=tuple(Hit(one, 1.0 / rank) for rank, one in enumerate(shown, start=1)),
        context=tuple(ContextHit(one, 1.0, 10) for one in shown),
    )


def said(request_id: str, kind: str, value: float, passage_id: str | None = None) -> Feedback:
    name = f"{request_id}-{kind}-{passage_id}"
    return Feedback(name, request_id, MONDAY, kind, value, passage_id)  # type: ignore[arg-type]


def diagnosed(request_id: str, cause: str, verdict: str) -> Diagnosis:
    return Diagnosis(request_id, cause, verdict, "g", "A", {})  # type: ignore[arg-type]
