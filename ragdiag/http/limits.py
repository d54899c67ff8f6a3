"""What a server takes from one client, and from all of them at once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from ragdiag.http.refusals import Refusal

MAX_CLIENTS = 10_000
"""Clients whose rate is remembered; the one not heard of for longest is forgotten first."""


class Budget:
    """Bytes that may wait at once. Used by one thread, the event loop's."""

    def __init__(self, limit: int) -> None:
        self.taken = 0
        self._limit = limit

    def take(self, size: int) -> None:
        """Raises Refusal (503) where it would be too much."""
        if self.taken + size > self._limit:
            raise Refusal(503, "too much is being received: try again", retry_after=1)
        self.taken += size

    def give_back(self, size: int) -> None:
        self.taken -= size


class Buckets:
    """A token bucket for each client."""

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """One request of ``client``; raises Refusal (429) where its bucket is empty.

        >>> buckets = Buckets(rate=1, burst=1, clock=iter([0.0, 0.25]).__next__)
        >>> buckets.take("a")
        >>> buckets.take("a")
        Traceback (most recent call last):
        ragdiag.http.refusals.Refusal: more than 1 requests a second
        """
        now = self._clock()
        left, then = self._clients.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        self._clients[client] = (left - 1 if left >= 1 else left, now)
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        if left < 1:
            wait = (1 - left) / self._rate
            raise Refusal(429, f"more than {self._rate:g} requests a second", retry_after=wait)
