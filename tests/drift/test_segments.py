"""Segments that are drawn, changes that are compared."""

from __future__ import annotations

from datetime import date

from ragdiag.drift.segments import comparable, largest
from ragdiag.drift.tallies import Share
from ragdiag.drift.weekly import Change
from ragdiag.records import Estimate, Weighed

FIRST, SECOND = date(2026, 1, 5), date(2026, 1, 12)


def share(successes: int, n: int) -> Share:
    return Share(Weighed.of(successes), Weighed.of(n))


def change(before: int, after: int, movement: str = "worse") -> Change:
    sides = Estimate(0.5, 0.4, 0.6, before), Estimate(0.4, 0.3, 0.5, after)
    return Change("correct", *sides, Estimate(-0.1, -0.15, -0.05, before + after), movement)


def test_the_largest_come_first_and_ties_go_by_name() -> None:
    cells = {
        "no_answer": {
            "b": {FIRST: share(0, 5), SECOND: share(1, 5)},
            "a": {FIRST: share(0, 10)},
            "c": {SECOND: share(0, 30)},
        }
    }
    assert largest(cells, 2) == ["c", "a"]
    assert largest(cells, 9) == ["c", "a", "b"]


def test_too_few_on_either_side_is_left_out_and_counted() -> None:
    found = [("x", change(10, 10, "no evidence")), ("y", change(9, 50)), ("z", change(50, 10))]
    kept, left_out = comparable([*found, ("w", change(50, 1))], 10)
    assert [segment for segment, _ in kept] == ["z", "x"]
    assert left_out == 2
