"""A request or a feedback as a script would write it in JSON, where the spool's own form is too
much to ask: see docs/logging.md."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ragdiag.identifiers import time_ordered_id
from ragdiag.instrumentation.assembly import CLOCKS, LISTS, Unloggable
from ragdiag.instrumentation.drafts import (
    FeedbackDraft,
    RawHit,
    RequestDraft,
    copy_context,
    copy_hits,
)
from ragdiag.records import RANKED_STAGES, Feedback, Request

_REQUEST = frozenset(Request.__dataclass_fields__) - {"user_key", "logged_depth", *RANKED_STAGES}
_OWN = frozenset({"request_id", "asked_at", "latency_ms", "user", "hits", "context"})
_FEEDBACK = frozenset(Feedback.__dataclass_fields__) - {"kind"} | {"feedback"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_draft(body: Mapping[str, Any], version_id: str) -> RequestDraft | FeedbackDraft:
    """What ``body`` tells; ``version_id`` where it names none. Unloggable for a field that has no
    place or a value that cannot be read.

    >>> read_draft({"question": "Why?", "hits": {"dense": [["p1", 0.5]]}}, "v1").lists
    {'dense': (('p1', 0.5),)}
    """
    if "feedback" in body:
        return _feedback(body)
    _refuse_unknown(body, _REQUEST | _OWN)
    asked_ns = _nanoseconds("asked_at", body.get("asked_at"))
    facts = {name: value for name, value in body.items() if name not in _OWN}
    return RequestDraft(
        request_id=body.get("request_id") or time_ordered_id(asked_ns),
        asked_ns=asked_ns,
        facts={
            "version_id": version_id,
            "traffic": "production",
            "status": "error" if facts.get("error") else "ok",
            **facts,
        },
        user=body.get("user"),
        spent=[
            (_known("latency_ms", stage, CLOCKS), value)
            for stage, value in _members("latency_ms", body).items()
        ],
        lists=_lists(body),
    )


def _feedback(body: Mapping[str, Any]) -> FeedbackDraft:
    _refuse_unknown(body, _FEEDBACK)
    given_ns = _nanoseconds("given_at", body.get("given_at"))
    return FeedbackDraft(
        request_id=body.get("request_id"),
        kind=body["feedback"],
        value=body.get("value", 1.0),
        passage_id=body.get("passage_id"),
        feedback_id=body.get("feedback_id") or time_ordered_id(given_ns),
        given_ns=given_ns,
    )


def _lists(body: Mapping[str, Any]) -> dict[str, tuple[RawHit, ...]]:
    try:
        lists = {
            _known("hits", stage, LISTS): copy_hits(_listed(stage, hits))
            for stage, hits in _members("hits", body).items()
        }
        if "context" in body:
            return {**lists, "context": copy_context(_listed("context", body["context"]))}
    except (KeyError, AttributeError, TypeError, ValueError):
        raise Unloggable(
            'a hit is ["id", score], "id" or {"id", "score"}; in context with its text or chars'
        ) from None
    return dict(lists)


def _listed(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Unloggable(f"{name} is a {type(value).__name__}, not a list")
    return value


def _members(name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    value = body.get(name, {})
    if not isinstance(value, Mapping):
        raise Unloggable(f"{name} is a {type(value).__name__}, not an object")
    return value


def _known(name: str, stage: str, stages: Mapping[str, Any]) -> Any:
    if stage not in stages:
        raise Unloggable(f"{name}: {stage!r} is none of {', '.join(stages)}")
    return stages[stage]


def _refuse_unknown(body: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(set(body) - known)
    if unknown:
        raise Unloggable(f"unknown field {unknown[0]!r}")


def _nanoseconds(name: str, value: Any) -> int:
    if value is None:
        return time.time_ns()
    try:
        moment = datetime.fromisoformat(value)
        since = moment - _EPOCH
    except (TypeError, ValueError, OverflowError):
        raise Unloggable(f"{name} is not a time with its zone, as 2026-01-31T09:30:00Z") from None
    if since.days < 0:
        raise Unloggable(f"{name} is before 1970")
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
