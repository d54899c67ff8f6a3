"""The thread that looks after what serves, and what it says of a look that failed."""

from __future__ import annotations

from threading import Event
from typing import cast

import pytest

from ragdiag.errors import RagdiagError, StoreBusy
from ragdiag.serve import watch
from ragdiag.serve.fleet import Fleet
from ragdiag.serve.watch import Watch


class Failing:
    """Looks well once, then raises; ``looked`` once it has been asked again after that."""

    def __init__(self, error: Exception) -> None:
        self.looks, self.looked = 0, Event()
        self._error = error

    def look(self) -> None:
        self.looks += 1
        if self.looks == 3:
            self.looked.set()
        if self.looks > 1:
            raise self._error


@pytest.mark.parametrize("error", [KeyError("line"), StoreBusy("busy", remedy="wait")])
def test_a_defect_is_logged_with_its_traceback_and_a_named_failure_as_one_line(
    error: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_S", 0.001)
    monkeypatch.setattr(watch, "RETRY_S", 0.001)
    fleet = Failing(error)
    looking = Watch(cast(Fleet, fleet), lambda: None)
    looking.start()
    assert fleet.looked.wait(10)
    looking.stop()
    told = next(one for one in caplog.records if one.name == watch.__name__)
    assert str(error) in told.getMessage()
    assert bool(told.exc_info) is not isinstance(error, RagdiagError)
