"""Turns that fail, and the first one's mistake."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ragdiag.errors import InputError, RagdiagError, StoreBusy
from ragdiag.workflows.repeating import repeat

BUSY = StoreBusy("others write", remedy="wait")
MISTAKE = InputError("no such thing", remedy="name another")


def turns(*faults: RagdiagError | None) -> tuple[Callable[[], None], Callable[[float], bool]]:
    """A call with one of these outcomes each time, and a wait that ends after the last."""
    left = list(faults)

    def once() -> None:
        fault = left.pop(0)
        if fault is not None:
            raise fault

    return once, lambda seconds: seconds == 3 and not left


def test_later_faults_and_a_busy_store_are_told_and_the_next_turn_comes() -> None:
    failed: list[RagdiagError] = []
    once, wait = turns(BUSY, None, MISTAKE, BUSY, None)
    repeat(once, 3, failed=failed.append, wait=wait)
    assert failed == [BUSY, MISTAKE, BUSY]


def test_the_first_turns_mistake_is_raised() -> None:
    once, wait = turns(MISTAKE, None)
    with pytest.raises(InputError):
        repeat(once, 3, failed=pytest.fail, wait=wait)
