"""Production's questions put to the shadow as well, once production is done with them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from queue import Empty, Full, Queue
from threading import Thread
from time import monotonic, perf_counter

from ragdiag.errors import InputError
from ragdiag.identifiers import shadow_id
from ragdiag.instrumentation.request_log import describe_error
from ragdiag.records import Request
from ragdiag.serve.answering import Asked, answer, failed
from ragdiag.serve.fleet import Served

WAITING = 100

_log = logging.getLogger(__name__)


class Shadows:
    """One thread, so that the shadow takes at most one processor from those who are waiting for
    an answer; what it is too busy for is left out. ``done`` is told each request, answered or
    failed, with its user."""

    def __init__(self, done: Callable[[Served, Request, str | None], None]) -> None:
        self._done = done
        self._queue: Queue[tuple[Served, Asked, float] | None] = Queue(WAITING)
        self._thread = Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    def mirror(self, shadow: Served, asked: Asked, left_s: float) -> bool:
        """Whether there is room for it. Returns at once. An answer that takes longer than
        ``left_s``, what production had when its turn came, is a failure of the shadow too."""
        try:
            self._queue.put_nowait((shadow, asked, left_s))
        except Full:
            return False
        return True

    def close(self, patience_s: float) -> None:
        """Finish what runs; what waits is left out."""
        end = monotonic() + patience_s
        try:
            while True:
                self._queue.get_nowait()
        except Empty:
            self._queue.put(None)
        self._thread.join(max(0.0, end - monotonic()))

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            shadow, asked, left_s = job
            own = replace(
                asked,
                request_id=shadow_id(asked.request_id, shadow.version.version_id),
                arrived=perf_counter(),
            )
            self._done(shadow, _ask(shadow, own, left_s), own.user)


def _ask(shadow: Served, asked: Asked, left_s: float) -> Request:
    try:
        # Never from its cache: a shadow is there to be measured.
        request = answer(replace(shadow, cache=None), asked, "shadow")
    except InputError as error:
        # What it cannot look for it would refuse to a user, too, and a refusal is no failure.
        return replace(failed(shadow, asked, "shadow", str(error)), status="no_answer")
    except Exception as error:
        _log.exception("the shadow failed")
        return failed(shadow, asked, "shadow", describe_error(error))
    if asked.waited_ms > 1e3 * left_s:
        late = f"no answer within the {left_s:.3g} s that production had for it"
        return failed(shadow, asked, "shadow", late)
    return request
