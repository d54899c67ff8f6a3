"""Drafts as records, checked so that ingest will take them; or the reason why they are none.

Reasons name fields, types and numbers, never what a user wrote: they reach log files.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, get_args
from uuid import UUID

from ragdiag.instrumentation.drafts import FeedbackDraft, RawHit, RequestDraft
from ragdiag.records import (
    FILTERS,
    LARGEST_COST,
    LATENCY_STAGES,
    ContextHit,
    Feedback,
    FeedbackKind,
    Hit,
    Request,
    Status,
    Traffic,
)
from ragdiag.user_ids import plain_user

LARGEST_WHOLE = 2**31 - 1
MOST_CHARS = 100_000
MOST_ID_CHARS = 500
MOST_HITS = 10_000

CLOCKS = {
    **{stage: stage for stage in LATENCY_STAGES},
    "fused": "fusion",
    "reranked": "rerank",
    "context": "packing",
    "answer": "generation",
}
"""The latency that a stage's name means: a step may be called by what it does or by what it
makes."""

RankedStage = Literal["lexical", "dense", "fused", "reranked"]
LISTS: Mapping[str, RankedStage] = {
    "lexical": "lexical",
    "dense": "dense",
    "fused": "fused",
    "fusion": "fused",
    "reranked": "reranked",
    "rerank": "reranked",
}

_IDENTIFIERS = ("request_id", "version_id", "build_id", "question_id", "topic", "tenant")
_TIMES = ("only_since", "only_until")
_TEXTS = ("question", "answer", "error", "degraded_reason")
_WHOLES = ("prompt_tokens", "completion_tokens", "searched_depth", "logged_depth")
_CHOICES = {"status": get_args(Status), "traffic": get_args(Traffic)}


class Unloggable(Exception):
    """Why a draft is no record."""


def build_request(
    draft: RequestDraft, user_key: Callable[[str], str | None], log_depth: int | None
) -> Request:
    """The record that ``draft`` tells, its lists cut to ``log_depth``; Unloggable where it tells
    none. ``user_key`` turns a user's id into what may be stored."""
    user = user_id(draft.user)
    if draft.fault:
        raise Unloggable(draft.fault)
    facts = {name: _checked(name, value) for name, value in draft.facts.items()}
    for name in ("version_id", "question"):
        if not str(facts.get(name) or "").strip():
            raise Unloggable(f"{name} is empty")
    lists = {stage: _hits(stage, raw) for stage, raw in draft.lists.items() if stage != "context"}
    offered = max(map(len, lists.values()), default=0)
    searched = max(facts.pop("searched_depth", 0), offered)
    if "fused" not in lists and lists:
        lists["fused"] = _passed_on(lists)
    longest = max(map(len, lists.values()), default=0)
    cut = facts.pop("logged_depth", offered if searched > offered > 0 else None)
    if log_depth is not None and longest > log_depth:
        cut = log_depth
    return Request(
        request_id=_identifier("request_id", draft.request_id),
        asked_at=_moment(draft.asked_ns),
        user_key=None if user is None else user_key(user),
        latency_ms=_latencies(draft.spent),
        context=_context(draft.lists.get("context", ())),
        searched_depth=searched,
        logged_depth=cut,
        **facts,
        **{stage: hits[:cut] for stage, hits in lists.items()},  # type: ignore[arg-type]
    )


def user_id(user: object) -> str | None:
    """A user's id as text, without the blanks around it; None for a blank one, as services say of
    who has not signed in. Unloggable where it is none."""
    named = plain_user(user) if isinstance(user, str) else user
    return None if named in (None, "") else _identifier("user", named)


def build_feedback(draft: FeedbackDraft) -> Feedback:
    """The record that ``draft`` tells; Unloggable where it tells none."""
    if draft.kind not in get_args(FeedbackKind):
        raise Unloggable("feedback: the kind is none of " + ", ".join(get_args(FeedbackKind)))
    passage = draft.passage_id
    return Feedback(
        feedback_id=_identifier("feedback_id", draft.feedback_id),
        request_id=_identifier("request_id", draft.request_id),
        given_at=_moment(draft.given_ns),
        kind=draft.kind,  # type: ignore[arg-type]
        value=_number("feedback: the value", draft.value),
        passage_id=None if passage is None else _identifier("passage_id", passage),
    )


def _checked(name: str, value: Any) -> Any:
    """One fact as its field wants it."""
    optional = ("question_id", "error", "degraded_reason", "cost_usd", *_WHOLES, *FILTERS)
    if value is None and name in optional:
        return 0 if name == "searched_depth" else None
    if name in _TEXTS:
        return _text(name, value)
    if name in _IDENTIFIERS:
        return _text(name, _named(value), MOST_ID_CHARS)
    if name in _WHOLES:
        return _whole(name, value)
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise Unloggable(f"{name} is none of {', '.join(_CHOICES[name])}")
        return value
    if name == "cost_usd":
        cost = _positive(name, value)
        if cost > LARGEST_COST:
            raise Unloggable(f"{name} is more than {LARGEST_COST:,.0f}")
        return cost
    if name == "cache_hit":
        return bool(value)
    if name == "keep_probability":
        chance = _number(name, value)
        if not 0 < chance <= 1:
            raise Unloggable(f"{name} is {chance}, not in (0, 1]")
        return chance
    if name in _TIMES:
        return _stated_time(name, value)
    if not isinstance(value, tuple | list):
        raise Unloggable(f"{name} is a {type(value).__name__}, not a list")
    return tuple(_identifier(name, one) for one in value)


def _stated_time(name: str, value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise Unloggable(f"{name} is not a time with its zone, as 2026-01-31T09:30:00Z")
    return moment


def _latencies(spent: list[tuple[str, float]]) -> dict[str, float]:
    latency: dict[str, float] = {}
    for stage, milliseconds in spent:
        value = _positive(f"latency of {stage}", milliseconds)
        latency[stage] = latency.get(stage, 0.0) + value
    return latency


def _hits(stage: str, raw: tuple[RawHit, ...]) -> tuple[Hit, ...]:
    if len(raw) > MOST_HITS:
        raise Unloggable(f"{stage} has {len(raw)} hits, {MOST_HITS} are the most")
    hits = []
    for rank, hit in enumerate(raw, start=1):
        if len(hit) != 2:
            raise Unloggable(f"{stage}: the hit at rank {rank} has {len(hit)} parts, not 2")
        name, score = hit
        # What nearly every hit is needs no call: a request has dozens of them.
        if type(name) is not str or not 0 < len(name.strip()) < 100 or not name.isprintable():
            name = _identifier(stage, name)
        if type(score) is not float or not math.isfinite(score):
            score = _score(stage, rank, score)
        hits.append(Hit(name, score))
    return tuple(hits)


def _context(raw: tuple[RawHit, ...]) -> tuple[ContextHit, ...]:
    if len(raw) > MOST_HITS:
        raise Unloggable(f"context has {len(raw)} passages, {MOST_HITS} are the most")
    return tuple(
        ContextHit(
            _identifier("context", name),
            _score("context", rank, score),
            _whole("context: the characters of a passage", chars),
        )
        for rank, (name, score, chars) in enumerate(raw, start=1)
    )


def _passed_on(lists: Mapping[str, tuple[Hit, ...]]) -> tuple[Hit, ...]:
    """Without a fusion its list is what came in: every path's hits, each passage once."""
    found: dict[str, Hit] = {}
    for stage in ("lexical", "dense"):
        for hit in lists.get(stage, ()):
            found.setdefault(hit.passage_id, hit)
    return tuple(found.values()) or lists.get("reranked", ())


def _score(stage: str, rank: int, score: object) -> float:
    """A list without scores gets 1 / rank: sorted by score it keeps its order."""
    return 1.0 / rank if score is None else _number(f"{stage}: the score at rank {rank}", score)


def _number(name: str, value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise Unloggable(f"{name} is a {type(value).__name__}, not a number") from None
    if not math.isfinite(number):
        raise Unloggable(f"{name} is {number}")
    return number


def _positive(name: str, value: object) -> float:
    number = _number(name, value)
    if number < 0:
        raise Unloggable(f"{name} is negative")
    return number


def _whole(name: str, value: object) -> int:
    try:
        whole = int(operator.index(value))  # type: ignore[arg-type]
    except TypeError:
        raise Unloggable(f"{name} is a {type(value).__name__}, not a whole number") from None
    if not 0 <= whole <= LARGEST_WHOLE:
        raise Unloggable(f"{name} is not between 0 and {LARGEST_WHOLE}")
    return whole


def _identifier(name: str, value: object) -> str:
    text = _text(f"{name}: an id", _named(value), MOST_ID_CHARS)
    if not text.strip():
        raise Unloggable(f"{name}: an id is empty")
    return text


def _named(value: object) -> object:
    """Whole numbers, numpy's too, and UUIDs name things as their text does; truth values do not."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str | bool):
        return value
    try:
        return str(operator.index(value))  # type: ignore[arg-type]
    except TypeError:
        return value


def _text(name: str, value: object, most: int = MOST_CHARS) -> str:
    if not isinstance(value, str):
        raise Unloggable(f"{name} is a {type(value).__name__}, not text")
    if len(value) > most:
        raise Unloggable(f"{name} has {len(value)} characters, {most} are the most")
    if value.isprintable():  # so it has neither a NUL nor a lone surrogate, which no lake keeps
        return str(value)
    return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _moment(at_ns: int) -> datetime:
    try:
        return datetime.fromtimestamp(at_ns / 1e9, UTC)
    except (OverflowError, ValueError, OSError):
        raise Unloggable("the time is out of range") from None
