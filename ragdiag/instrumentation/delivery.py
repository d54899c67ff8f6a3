"""One background thread that takes what callers offer off a bounded queue and writes it.

``offer`` never waits, not even to wake the thread, which looks by itself 20 times a second: a full
queue says no. What the disk refuses is tried again until it is written, and meanwhile the queue
fills to its bound.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from ragdiag.errors import StoreError

ItemT = TypeVar("ItemT")
RecordT = TypeVar("RecordT")

LOOK_EVERY_S = 0.05
TICK_S = 0.25
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 1.0
_log = logging.getLogger("ragdiag.instrumentation")


@dataclass(frozen=True)
class Work(Generic[ItemT, RecordT]):
    """What the thread does. ``prepare`` and ``write`` raise StoreError where it is worth trying
    again (``prepare`` has then changed nothing) and anything else where it is not (``refuse``).
    ``hand_over`` makes what was written ready to be ingested, ``drop`` counts records given up,
    ``tick`` runs every now and then, ``started`` after each start of the thread."""

    prepare: Callable[[ItemT], Sequence[RecordT]]
    write: Callable[[RecordT], None]
    hand_over: Callable[[], None]
    refuse: Callable[[Exception], None]
    drop: Callable[[str, int], None]
    tick: Callable[[], None]
    started: Callable[[], None]


@dataclass(eq=False)
class _Barrier:
    """Passed when everything offered before it has been dealt with."""

    last: bool
    passed: threading.Event = field(default_factory=threading.Event)


class Delivery(Generic[ItemT, RecordT]):
    """Starts its thread with the first offer, and again after :meth:`close` or a fork."""

    def __init__(self, name: str, capacity: int, work: Work[ItemT, RecordT]) -> None:
        self._name = name
        self._capacity = capacity
        self._work = work
        self.forget()

    def forget(self) -> None:
        """Begin anew: in a forked child everything here is the parent's."""
        self._starting = threading.Lock()
        self._closing = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._queue: deque[ItemT | _Barrier] = deque()
        self._thread: threading.Thread | None = None
        self._at_work = threading.Lock()
        self._wanted = threading.Event()
        self._giving_up = threading.Event()

    def pause(self, timeout_s: float) -> Callable[[], None]:
        """Let the thread finish what it has in hand and then wait; the result lets it go on. Where
        it takes longer (a disk that hangs) it is not waited for.

        A fork copies every lock that any thread holds, those of the interpreter's imports too, and
        nobody in the child ever gives them back.
        """
        at_work = self._at_work
        return at_work.release if at_work.acquire(timeout=timeout_s) else _nothing

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def offer(self, item: ItemT) -> bool:
        """Whether there was room. Callers of one instant may exceed the bound by their number."""
        if len(self._queue) >= self._capacity:
            return False
        self._queue.append(item)
        if self._thread is None:
            self._start()
        return True

    def flush(self, timeout_s: float) -> bool:
        """Whether everything offered before is dealt with and handed over within the time."""
        return self._pass_barrier(_Barrier(last=False), timeout_s)

    def close(self, timeout_s: float) -> bool:
        """As :meth:`flush`, then the thread ends; what the disk refused until then is dropped."""
        with self._closing:
            done = self._pass_barrier(_Barrier(last=True), timeout_s)
            thread = self._thread
            if done or thread is None or thread is threading.current_thread():
                return done
            self._giving_up.set()
            thread.join(LONGEST_PAUSE_S)
            if thread.is_alive():  # a disk that neither writes nor fails
                left = self._queue
                self._begin()
                items = [item for item in left.copy() if not isinstance(item, _Barrier)]
                self._work.drop("the disk did not answer until the end", len(items))
            else:
                self._giving_up.clear()
            return False

    def _pass_barrier(self, barrier: _Barrier, timeout_s: float) -> bool:
        if self._thread is None and not self._queue:
            return True
        if self._thread is threading.current_thread():
            return False
        self._queue.append(barrier)
        if self._thread is None:
            self._start()
        self._wanted.set()
        return barrier.passed.wait(timeout_s)

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread to be had now: the next offer tries again
                return
            self._thread = thread
        self._work.started()

    def _run(self) -> None:
        queue, wanted, at_work = self._queue, self._wanted, self._at_work
        ticked = 0.0
        while queue is self._queue:  # else it was given up as hanging
            if time.monotonic() - ticked >= TICK_S:
                with at_work:
                    self._guarded(self._work.tick)
                ticked = time.monotonic()
            if not queue:
                wanted.wait(LOOK_EVERY_S)
                wanted.clear()
                continue
            with at_work:
                item = queue.popleft()
                if not isinstance(item, _Barrier):
                    self._guarded(partial(self._deliver, item))
                elif self._guarded(partial(self._at_barrier, item)):
                    return

    def _guarded(self, step: Callable[[], bool | None]) -> bool:
        """What ``step`` says; a defect of it is told, and does not end the logging."""
        try:
            return bool(step())
        except Exception:
            _log.exception("a record could not be logged")
            self._work.drop("a defect of ragdiag; the service's log has its traceback", 1)
            return False

    def _at_barrier(self, barrier: _Barrier) -> bool:
        """Whether the thread ends here."""
        if not self._insist(self._work.hand_over):
            return self._has_ended() if barrier.last else False
        ended = barrier.last and self._has_ended()
        barrier.passed.set()
        return ended

    def _has_ended(self) -> bool:
        """An offer that came after the last barrier is either seen here, or sees no thread."""
        with self._starting:
            thread, self._thread = self._thread, None
            if not self._queue:
                return True
            self._thread = thread
            return False

    def _deliver(self, item: ItemT) -> None:
        records: list[RecordT] = []

        def prepare() -> None:
            records.extend(self._work.prepare(item))

        try:
            if not self._insist(prepare):
                self._work.drop("the disk refused it until the end", 1)
            for number, record in enumerate(records):
                if not self._insist(partial(self._work.write, record)):
                    self._work.drop("the disk refused it until the end", len(records) - number)
                    return
        except Exception as error:
            self._work.refuse(error)

    def _insist(self, attempt: Callable[[], None]) -> bool:
        """Try until it works; False where the end came first."""
        giving_up = self._giving_up
        pause = FIRST_PAUSE_S
        while True:
            try:
                attempt()
            except StoreError:
                self._work.tick()
                if giving_up.wait(pause):
                    return False
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                return True


def _nothing() -> None:
    """What lets a thread go on that was not made to wait."""
