"""The thread that looks after the fleet for as long as the service runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

from ragdiag.errors import RagdiagError
from ragdiag.serve.fleet import RETRY_S, Fleet

LOOK_S = 1.0
"""How long what is published or deployed waits to be seen."""

PATIENCE_S = 2.0

_log = logging.getLogger(__name__)


class Watch:
    """``failed`` is called where nothing could be opened at the start; ``fault`` says why."""

    def __init__(self, fleet: Fleet, failed: Callable[[], None]) -> None:
        self.fault: Exception | None = None
        self._fleet, self._failed = fleet, failed
        self._over = Event()
        # A daemon: who ends the service does not wait long for a model to be loaded.
        self._thread = Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End it, unless it loads a model: a look at the store that the process's end cuts short
        would abort it."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        try:
            self._fleet.look()
        except Exception as error:
            self.fault = error
            self._failed()
            return
        pause = LOOK_S
        while not self._over.wait(pause):
            try:
                self._fleet.look()
                pause = LOOK_S
            except Exception as error:  # whatever it is, what serves goes on serving
                _log.warning(
                    "what serves could not be looked after: %s",
                    error,
                    exc_info=not isinstance(error, RagdiagError),
                )
                pause = RETRY_S
