"""One background thread that takes what callers offer off a bounded queue and writes it.

``offer`` costs a caller about a microsecond and never waits: a full queue says no. What the disk
refuses is tried again until it is written, and meanwhile the queue fills to its bound.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from ragdiag.errors import StoreError

ItemT = TypeVar("ItemT")
RecordT = TypeVar("RecordT")

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
        self._queue: SimpleQueue[ItemT | _Barrier] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._giving_up = threading.Event()

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def offer(self, item: ItemT) -> bool:
        """Whether there was room. Callers of one instant may exceed the bound by their number."""
        if self._queue.qsize() >= self._capacity:
            return False
        self._queue.put(item)
        if self._thread is None:
            self._start()
        return True

    def flush(self, timeout_s: float) -> bool:
        """Whether everything offered before is dealt with and handed over within the time."""
        return self._pass_barrier(_Barrier(last=False), timeout_s)

    def close(self, timeout_s: float) -> bool:
        """As :meth:`flush`, then the thread ends; what the disk refused until then is dropped."""
        with self._closing:
            thread = self._thread
            done = self._pass_barrier(_Barrier(last=True), timeout_s)
            if thread is None or done:
                return done
            self._giving_up.set()
            thread.join(LONGEST_PAUSE_S)
            if thread.is_alive():  # a disk that neither writes nor fails
                left = self._queue.qsize()
                self._begin()
                self._work.drop("the disk did not answer until the end", left)
            else:
                self._giving_up.clear()
            return False

    def _pass_barrier(self, barrier: _Barrier, timeout_s: float) -> bool:
        if self._thread is None and not self._queue.qsize():
            return True
        if self._thread is threading.current_thread():
            return False
        self._queue.put(barrier)
        if self._thread is None:
            self._start()
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
        queue = self._queue
        ticked = time.monotonic()
        while queue is self._queue:  # else it was given up as hanging
            item = None
            try:
                item = queue.get(timeout=TICK_S)
                if isinstance(item, _Barrier):
                    if self._at_barrier(item):
                        return
                else:
                    self._deliver(item)
            except Empty:
                pass
            except Exception:  # a defect here must not end the logging
                _log.exception("a record could not be logged")
                self._work.drop("a defect of ragdiag; the service's log has its traceback", 1)
            if time.monotonic() - ticked >= TICK_S or item is None:
                ticked = time.monotonic()
                self._work.tick()

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
            if self._queue.empty():
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
                if not self._insist(lambda record=record: self._work.write(record)):  # type: ignore[misc]
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
