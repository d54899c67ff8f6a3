"""What was refused: counted since the start, told now and then."""

from __future__ import annotations

from collections import Counter

import pytest

from ragdiag.collect.tally import EVERY_S, Tally


def test_warnings_are_rare_and_lose_no_count(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    tally = Tally(clock=lambda: now)
    tally.note(Counter(), Counter())
    assert caplog.messages == []
    for _ in range(1_000):
        tally.note(Counter({"no end time": 2}), Counter())
    assert caplog.messages == ["refused: no end time (2×)"]
    now += EVERY_S
    tally.note(Counter({"bad span id": 1}), Counter({"odd": 3}))
    assert caplog.messages[1:] == [
        "refused: no end time (1998×), bad span id",
        "taken, but odd: odd (3×)",
    ]
    assert tally.refused == {"no end time": 2_000, "bad span id": 1}
    assert tally.remarks == {"odd": 3}


def test_the_last_ones_are_told_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    tally = Tally()
    tally.note(Counter(a=1), Counter())
    tally.note(Counter(b=1), Counter())
    tally.tell()
    tally.tell()
    assert caplog.messages == ["refused: a", "refused: b"]
