"""Threads for work that may hang: unlike those of ThreadPoolExecutor, the process ends without
them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")

_Job = tuple[Future[Any], Callable[[], Any]]
_Line = SimpleQueue[_Job | None]


class Daemons:
    """Up to ``threads`` pieces of work at once, the others in line. The threads end once nobody
    holds this any more."""

    def __init__(self, threads: int, name: str) -> None:
        self._most, self._name, self._started = threads, name, 0
        self._lock = Lock()
        self._line: _Line = SimpleQueue()
        self._end = weakref.finalize(self, self._line.put, None)
        self._end.atexit = False

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """What ``work`` returns or raises; cancelled while it is in line, it never begins."""
        future: Future[T] = Future()
        self._line.put((future, work))
        with self._lock:
            if self._started < self._most:
                name = f"{self._name}-{self._started}"
                # given the line alone: a thread that held this would keep it for ever
                Thread(target=_work_off, args=(self._line,), name=name, daemon=True).start()
                self._started += 1
        return future

    def close(self) -> None:
        """Let the threads end after what is in line; nothing may be submitted any more."""
        self._end()


def _work_off(line: _Line) -> None:
    while (job := line.get()) is not None:
        future, work = job
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
        del job, future, work  # an idle thread must not keep what it worked on
    line.put(None)  # for the next thread
