"""Answers that are kept for whoever may see them and asks the same again.

Everything is kept under its scope (what answered, and for whom), so an answer of another index
build, tenant or role is never looked at, let alone served. A pipeline has a cache of its own: what
it knew goes with it. All of it goes when a user is forgotten: whose words an answer repeats, and
whose question it was first, nobody can tell any more.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock

import numpy as np

from ragdiag.caching.wording import decisive_words, essential_words, normalise
from ragdiag.records import Request, Traffic
from ragdiag.retrieval.ann.index import Vectors
from ragdiag.store.upkeep.forgotten import ForgottenUsers
from ragdiag.version import CacheSpec


@dataclass(frozen=True, slots=True)
class Scope:
    """What answered, and for whom: an answer is served again within its scope only."""

    version_id: str
    build_id: str
    tenant: str | None = None
    roles: frozenset[str] = frozenset()


_Key = tuple[Scope, str]


@dataclass(frozen=True, slots=True)
class _Entry:
    request: Request
    until: float
    words: tuple[str, ...]


class AnswerCache:
    """The ``size`` answers used last, each for ``ttl_s`` seconds and until somebody is
    ``forgotten``; safe between threads."""

    def __init__(
        self,
        spec: CacheSpec,
        clock: Callable[[], float] = time.monotonic,
        forgotten: ForgottenUsers | None = None,
    ) -> None:
        self._spec, self._clock, self._forgotten = spec, clock, forgotten
        self._mark = None if forgotten is None else forgotten.mark()
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._vectors: dict[Scope, _Vectors] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def needs_vectors(self) -> bool:
        return self._spec.kind == "semantic"

    def find(self, scope: Scope, question: str, vector: Vectors | None = None) -> Request | None:
        """The request whose answer this question gets too, as it was kept; None without one.

        ``vector`` (d,), of unit length, is the question's own; without it only the same question
        is found.
        """
        key = (scope, normalise(question))
        with self._lock:
            self._follow_forgetting()
            if not self._is_alive(key):
                near = None if vector is None else self._nearest(key, question, vector)
                if near is None:
                    return None
                key = near
            self._entries.move_to_end(key)
            return self._entries[key].request

    def keep(
        self,
        scope: Scope,
        request: Request,
        vector: Vectors | None = None,
        user: str | None = None,
    ) -> bool:
        """Whether the answer is kept: one that failed or was degraded is not, nor what a forgotten
        ``user`` (a raw id) has asked."""
        if request.status == "error" or request.degraded_reason is not None:
            return False
        key = (scope, normalise(request.question))
        with self._lock:
            # In this order: who is forgotten after the second line is dropped by the next look.
            self._follow_forgetting()
            if self._forgotten is not None and self._forgotten.names(user):
                return False
            self._drop(key)
            until = self._clock() + self._spec.ttl_s
            self._entries[key] = _Entry(request, until, self._words(request.question))
            if vector is not None and self.needs_vectors:
                self._vectors.setdefault(scope, _Vectors(len(vector))).put(key[1], vector)
            while len(self._entries) > self._spec.size:
                self._drop(next(iter(self._entries)))
        return True

    def follow_forgetting(self) -> None:
        """Drop everything where somebody was forgotten since the last look; done before every
        answer, too."""
        with self._lock:
            self._follow_forgetting()

    def _follow_forgetting(self) -> None:
        if self._forgotten is None:
            return
        mark = self._forgotten.mark()
        if mark != self._mark:
            self._mark = mark
            self._entries.clear()
            self._vectors.clear()

    def _is_alive(self, key: _Key) -> bool:
        entry = self._entries.get(key)
        if entry is not None and self._clock() >= entry.until:
            self._drop(key)
            entry = None
        return entry is not None

    def _nearest(self, key: _Key, question: str, vector: Vectors) -> _Key | None:
        scope = key[0]
        if scope not in self._vectors:
            return None
        words = self._words(question)
        for name in self._vectors[scope].near(vector, self._spec.similarity):
            near = (scope, name)
            if self._is_alive(near) and self._entries[near].words == words:
                return near
        return None

    def _words(self, question: str) -> tuple[str, ...]:
        """Those that must be the same for two questions to be one."""
        if not self.needs_vectors:
            return ()
        return essential_words(question) if self._spec.strict else decisive_words(question)

    def _drop(self, key: _Key) -> None:
        scope, name = key
        if self._entries.pop(key, None) is None or scope not in self._vectors:
            return
        self._vectors[scope].remove(name)
        if not self._vectors[scope]:
            del self._vectors[scope]


class _Vectors:
    """Unit vectors by name, searched all at once."""

    def __init__(self, dimension: int) -> None:
        self._rows = np.empty((8, dimension), dtype=np.float32)
        self._names: list[str] = []
        self._at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._names)

    def put(self, name: str, vector: Vectors) -> None:
        if len(self._names) == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._at[name] = len(self._names)
        self._rows[len(self._names)] = vector
        self._names.append(name)

    def remove(self, name: str) -> None:
        """The last row takes the place of the one that goes."""
        at = self._at.pop(name, None)
        if at is None:
            return
        last = self._names.pop()
        if last != name:
            self._names[at], self._at[last] = last, at
            self._rows[at] = self._rows[len(self._names)]

    def near(self, vector: Vectors, least: float) -> list[str]:
        """Names with a cosine of ``least`` or more, the nearest first."""
        cosines = self._rows[: len(self._names)] @ vector
        enough = np.flatnonzero(cosines >= least)
        order = np.argsort(-cosines[enough], kind="stable")
        return [self._names[at] for at in enough[order].tolist()]


def repeat_answer(
    kept: Request,
    *,
    question: str,
    question_id: str | None,
    request_id: str,
    asked_at: datetime,
    traffic: Traffic,
    topic: str,
    latency_ms: Mapping[str, float],
) -> Request:
    """A request that is answered as ``kept`` was: its own in all but the answer and the lists.

    No generator ran, so it used no tokens and cost nothing; what ``kept`` does not know of that
    stays unknown.
    """
    return replace(
        kept,
        question=question,
        question_id=question_id,
        request_id=request_id,
        asked_at=asked_at,
        traffic=traffic,
        topic=topic,
        user_key=None,
        cache_hit=True,
        latency_ms=latency_ms,
        prompt_tokens=None if kept.prompt_tokens is None else 0,
        completion_tokens=None if kept.completion_tokens is None else 0,
        cost_usd=None if kept.cost_usd is None else 0.0,
    )
