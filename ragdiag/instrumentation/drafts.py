"""What a caller has said about a request, as it was said: copied, not yet checked.

Checking costs more than a caller may pay, so it waits for the background thread (assembly.py).
What is kept here can no longer be changed by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from ragdiag.records import RANKED_STAGES, ContextHit, Hit, Request

RawHit = tuple[object, ...]
"""(id, score), for a context (id, score, characters); the score may be None."""

_PLAIN = frozenset(Request.__dataclass_fields__) - {
    *("request_id", "asked_at", "user_key", "latency_ms"),
    *RANKED_STAGES,
}
"""Fields that a draft holds as they are."""

_read_hit = attrgetter("passage_id", "score")


@dataclass(slots=True)
class FeedbackDraft:
    request_id: object
    kind: object
    value: object
    passage_id: object
    feedback_id: object
    given_ns: int


@dataclass(slots=True)
class RequestDraft:
    """``facts`` are fields of a Request by their names; ``spent`` are (stage, milliseconds), where
    a stage may stand twice; ``lists`` are ranked hits by stage. ``fault`` says why the request
    cannot be logged, None as long as it can."""

    request_id: str
    asked_ns: int
    facts: dict[str, Any]
    user: object = None
    spent: list[tuple[str, float]] = field(default_factory=list)
    lists: dict[str, tuple[RawHit, ...]] = field(default_factory=dict)
    feedback: list[FeedbackDraft] = field(default_factory=list)
    fault: str | None = None


def copy_names(names: object) -> object:
    """A list of names, kept as it is now; what is none is refused later."""
    if not isinstance(names, list | tuple | set | frozenset):
        return names
    return tuple(names) if isinstance(names, list | tuple) else tuple(sorted(names, key=str))


def draft_of(request: Request, user: object = None) -> RequestDraft:
    """What a request that is complete already tells. ``user`` is the raw id, if there is one."""
    lists: dict[str, tuple[RawHit, ...]] = {
        stage: copy_hits(hits)
        for stage in RANKED_STAGES
        if stage != "context" and (hits := getattr(request, stage)) is not None
    }
    return RequestDraft(
        request_id=request.request_id,
        asked_ns=round(request.asked_at.timestamp() * 1e9),
        facts={name: getattr(request, name) for name in _PLAIN},
        user=user,
        spent=list(request.latency_ms.items()),
        lists={**lists, "context": copy_context(request.context)},
    )


def copy_hits(hits: Iterable[object]) -> tuple[RawHit, ...]:
    """Pairs (id, score), mappings or objects with ``passage_id`` or ``id`` and ``score``, or bare
    ids. KeyError, AttributeError or TypeError for anything else.

    >>> copy_hits([("p1", 0.5), {"id": "p2", "score": 0.25}, "p3"])
    (('p1', 0.5), ('p2', 0.25), ('p3', None))
    """
    copied = tuple(hits)
    if {*map(type, copied)} <= {tuple}:  # nothing in it can change
        return copied  # type: ignore[return-value]
    return tuple(map(_copy_hit, copied))


def copy_context(passages: Iterable[object]) -> tuple[RawHit, ...]:
    """As :func:`copy_hits`, with a third value: the text that went into the prompt, or how many
    characters it had. Only its length is kept.

    >>> copy_context([("p1", 0.5, "Cats sleep."), {"id": "p2", "chars": 40}])
    (('p1', 0.5, 11), ('p2', None, 40))
    """
    return tuple(map(_copy_passage, passages))


def _copy_hit(hit: object) -> RawHit:
    if isinstance(hit, tuple | list):
        return tuple(hit)
    if isinstance(hit, str | int):
        return (hit, None)
    if isinstance(hit, Mapping):
        name = hit["passage_id"] if "passage_id" in hit else hit["id"]
        return (name, hit.get("score"))
    if isinstance(hit, Hit):
        return _read_hit(hit)
    name = hit.passage_id if hasattr(hit, "passage_id") else hit.id  # type: ignore[attr-defined]
    return (name, getattr(hit, "score", None))


def _copy_passage(passage: object) -> RawHit:
    if isinstance(passage, tuple | list):
        name, score, text = passage
    elif isinstance(passage, ContextHit):
        return (passage.passage_id, passage.score, passage.chars)
    else:
        name, score = _copy_hit(passage)
        text = _member(passage, "chars")
        if text is None:
            text = _member(passage, "text")
    return (name, score, len(text) if isinstance(text, str) else text)


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
