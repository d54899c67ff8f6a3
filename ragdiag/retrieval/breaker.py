"""A part that may fail or hang is asked within a deadline, and left alone once it keeps failing.

The breaker is closed while all is well; after ``failures`` in a row it is open, and the part is not
asked at all; ``retry_s`` later it is half open: one caller probes, and its luck decides (Nygard
2007, Release It!, ch. 5).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from threading import Lock
from time import monotonic
from typing import Literal, TypeVar

from ragdiag.errors import PromptRefused, RagdiagError
from ragdiag.retrieval.daemons import Daemons

T = TypeVar("T")
State = Literal["closed", "open", "half_open"]

_log = logging.getLogger(__name__)

WORKERS = 8
"""Calls that may hang at a time; the others wait in line, within their own deadline."""


class Unavailable(Exception):
    """Why a part was not used, in a few words fit for ``degraded_reason``; ``cause`` is the failure
    in its own words, where it has any."""

    def __init__(self, reason: str, cause: str = "") -> None:
        super().__init__(reason)
        self.cause = cause


class CircuitBreaker:
    """Counts failures in a row; safe in threads."""

    def __init__(
        self, failures: int, retry_s: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._most, self._retry_s, self._clock = failures, retry_s, clock
        self._failed = 0
        self._opened_at: float | None = None
        self._probing = False
        self._lock = Lock()

    @property
    def state(self) -> State:
        with self._lock:
            return self._state()

    def allows(self) -> bool:
        """Whether to ask the part now. Whoever is told yes must report what became of it."""
        with self._lock:
            state = self._state()
            if state == "half_open" and not self._probing:
                self._probing = True
                return True
            return state == "closed"

    def succeeded(self) -> None:
        with self._lock:
            self._failed, self._opened_at, self._probing = 0, None, False

    def failed(self) -> None:
        with self._lock:
            self._failed += 1
            if self._probing or self._failed >= self._most:
                self._opened_at, self._probing = self._clock(), False

    def told_nothing(self) -> None:
        """The call says nothing about the part: whoever comes next probes it."""
        with self._lock:
            self._probing = False

    def _state(self) -> State:
        if self._opened_at is None:
            return "closed"
        return "half_open" if self._clock() - self._opened_at >= self._retry_s else "open"


class Guard:
    """One part behind its deadline and its breaker."""

    def __init__(self, name: str, deadline_ms: float | None, breaker: CircuitBreaker) -> None:
        """``name`` is how ``degraded_reason`` calls the part. Without a deadline the part is asked
        in the caller's own thread."""
        self.name, self.breaker = name, breaker
        self._last = ""
        self._deadline_s = None if deadline_ms is None else deadline_ms / 1000
        self._pool = None if deadline_ms is None else Daemons(WORKERS, f"guard-{name}")

    def call(self, work: Callable[[], T], *, spent_ms: float = 0.0) -> T:
        """What ``work`` returns. Raises Unavailable where it is late, fails, or is not asked.

        ``spent_ms`` of the deadline have gone into something else. Late work goes on in its thread,
        since it cannot be stopped; its result is thrown away. A prompt that is refused for itself
        is no failure of the part: one client's questions must not take it from the others.
        """
        if not self.breaker.allows():
            raise Unavailable(f"{self.name}: left alone after failures in a row", self._last)
        try:
            found = self._within_deadline(work, spent_ms / 1000)
        except PromptRefused as error:
            self.breaker.told_nothing()
            raise self._unavailable(error) from None
        except Exception as error:  # whatever the part raises, the answer goes on without it
            if not isinstance(error, RagdiagError | FutureTimeout | Unavailable):
                _log.exception("%s failed", self.name)
            failure = self._unavailable(error)
            self._last = failure.cause or str(failure)
            self.breaker.failed()
            raise failure from None
        self.breaker.succeeded()
        return found

    def _unavailable(self, error: Exception) -> Unavailable:
        if isinstance(error, Unavailable):
            return error
        if isinstance(error, FutureTimeout):
            return Unavailable(f"{self.name}: no answer within its deadline")
        return Unavailable(f"{self.name}: {type(error).__name__}", str(error))

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def _within_deadline(self, work: Callable[[], T], spent_s: float) -> T:
        if self._pool is None or self._deadline_s is None:
            return work()
        future = self._pool.submit(work)
        try:
            return future.result(max(0.0, self._deadline_s - spent_s))
        finally:
            future.cancel()  # one that is still waiting in line
