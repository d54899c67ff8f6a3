"""Ctrl-C while a query runs, by a real signal."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from ragdiag.interrupts import interruptible
from ragdiag.settings import Workspace
from ragdiag.store.lake import open_lake

ENDLESS = "select count(*) from range(1_000_000_000_000) rows (row) where row % 7 = 3"


@pytest.fixture
def _heeded() -> Iterator[None]:
    """Processes that a shell starts in the background ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heeded")
def test_a_query_of_the_lake_ends_as_any_other_work_does(workspace: Workspace) -> None:
    lake = open_lake(workspace, create=True)
    signaller = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    signaller.start()
    with pytest.raises(KeyboardInterrupt):
        lake.rows(ENDLESS)
    signaller.join()
    assert lake.rows("select 1 as one") == [{"one": 1}]


def test_another_error_is_what_it_was() -> None:
    with pytest.raises(RuntimeError, match="of another kind"), interruptible():
        raise RuntimeError("of another kind")
