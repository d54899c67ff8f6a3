"""A bounded number of questions at once: so many are answered, so many wait, the rest is refused.

Work that has begun cannot be stopped. Whoever waits for it gives up at the deadline, but its place
is free only when it is really done: a generator that hangs makes the service refuse, never grow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Generic, TypeVar

from ragdiag.http.refusals import Refusal

T = TypeVar("T")

FIRST_MEAN_S = 0.1
SMOOTHING = 0.1
"""Weight of the newest duration in their moving mean, which says when to try again."""


class Ticket(Generic[T]):
    """One piece of work. Exactly one side takes it: who did it in time, or who gave it up."""

    def __init__(self, deadline: float) -> None:
        """``deadline`` on the monotonic clock, in seconds."""
        self.deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[T] = self._loop.create_future()
        self._taken = False
        self._lock = Lock()

    def take(self) -> bool:
        """Whether the caller is the first to ask."""
        with self._lock:
            first, self._taken = not self._taken, True
        return first

    async def result(self) -> T:
        """What the work returned, or raises what it raised. Raises TimeoutError at the deadline,
        unless it has been taken by then: the result is then on its way."""
        try:
            async with asyncio.timeout(self.deadline - monotonic()):
                return await asyncio.shield(self._future)
        except TimeoutError:
            if self.take():
                self._future.cancel()
                raise
        return await self._future

    def settle(self, outcome: T | Exception) -> None:
        with suppress(RuntimeError):  # the loop has gone, and whoever waited with it
            self._loop.call_soon_threadsafe(self._settle, outcome)

    def _settle(self, outcome: T | Exception) -> None:
        if self._future.done():
            return
        if isinstance(outcome, Exception):
            self._future.set_exception(outcome)
        else:
            self._future.set_result(outcome)


class Workers:
    """``threads`` pieces of work at once, and ``waiting`` more in line."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._room = threads + waiting
        self._mean_s = FIRST_MEAN_S
        self._taken = 0
        self._lock = Lock()
        self._line: SimpleQueue[Callable[[], Callable[[], None]] | None] = SimpleQueue()
        # Daemons, so that work which hangs does not keep the process from ending.
        self._threads = [
            Thread(target=self._run, name=f"answer-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> int:
        return min(self._taken, len(self._threads))

    @property
    def waiting(self) -> int:
        return max(0, self._taken - len(self._threads))

    def submit(self, work: Callable[[Ticket[T]], T], deadline_s: float) -> Ticket[T]:
        """``work`` is called with its ticket in a thread, unless the deadline passes before.

        Raises Refusal (503) where there is no room.
        """
        with self._lock:
            if self._taken >= self._room:
                wait = self._mean_s * self._taken / len(self._threads)
                raise Refusal(503, "too many questions at once: try again", retry_after=wait)
            self._taken += 1
        ticket: Ticket[T] = Ticket(monotonic() + deadline_s)
        self._line.put(partial(_work_on, ticket, work))
        return ticket

    def close(self, patience_s: float) -> None:
        """Finish what runs and waits, and leave behind what takes longer."""
        for _ in self._threads:
            self._line.put(None)
        end = monotonic() + patience_s
        for thread in self._threads:
            thread.join(max(0.0, end - monotonic()))

    def _run(self) -> None:
        while (job := self._line.get()) is not None:
            started = monotonic()
            settle = job()
            with self._lock:  # before anybody hears of it, and may ask the next question
                self._taken -= 1
                self._mean_s += SMOOTHING * (monotonic() - started - self._mean_s)
            settle()


def _work_on(ticket: Ticket[T], work: Callable[[Ticket[T]], T]) -> Callable[[], None]:
    """Do the work; what is called then tells its outcome."""
    try:
        if monotonic() < ticket.deadline:
            return partial(ticket.settle, work(ticket))
    except Exception as error:
        return partial(ticket.settle, error)
    return lambda: None
