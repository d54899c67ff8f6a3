"""What is refused is told once, and however much it is, in few lines."""

from __future__ import annotations

import re
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ragdiag.collect.telling import MINUTE_S, ONE_BY_ONE, Telling
from ragdiag.records import Reject

SUMMED = re.compile(r"(\d+) were refused within a minute, (\d+) of them told one by one: .+")


def bad(count: int) -> list[Reject]:
    return [Reject("otlp", number, f"span {number} is bad") for number in range(count)]


def test_a_flood_is_a_hundred_lines_a_minute_and_their_sum() -> None:
    telling = Telling()
    lines: list[Reject] = []
    for second in range(120):
        more, telling = telling.take(Counter(bad=500), bad(20), now=1_000.0 + second)
        lines += more
    lines += telling.sum_up()
    assert len(lines) == 2 * (ONE_BY_ONE + 1)
    reason = "30000 were refused within a minute, 100 of them told one by one: bad (30000×)"
    assert [line.reason for line in lines if SUMMED.fullmatch(line.reason)] == [reason] * 2


def test_nothing_is_due_where_all_was_told() -> None:
    lines, telling = Telling().take(Counter(bad=2), bad(2), now=5.0)
    assert (len(lines), telling.owes, telling.wait_s) == (2, False, None)
    assert telling.take(Counter(), [], now=500.0)[0] == []


def test_a_sum_waits_for_its_minute_to_end() -> None:
    _, telling = Telling().take(Counter(bad=3), bad(1), now=5.0)
    assert telling.wait_s == MINUTE_S
    assert telling.take(Counter(), [], now=5.0 + MINUTE_S - 1)[0] == []
    (line,), telling = telling.take(Counter(), [], now=5.0 + MINUTE_S)
    assert SUMMED.fullmatch(line.reason)
    assert telling.sum_up() == []


def test_what_was_not_written_is_told_again() -> None:
    _, telling = Telling().take(Counter(bad=3), bad(1), now=5.0)
    assert telling.take(Counter(), [], now=99.0) == telling.take(Counter(), [], now=99.0)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 150), st.floats(0, 90)), max_size=12))
def test_every_refused_part_is_in_one_line(batches: list[tuple[int, int, float]]) -> None:
    telling, now, lines = Telling(), 1_000.0, list[Reject]()
    for refused, known, passed in batches:
        now += passed
        more, telling = telling.take(Counter(bad=refused), bad(min(known, refused)), now)
        lines += more
    lines += telling.sum_up()
    sums = [found for line in lines if (found := SUMMED.fullmatch(line.reason))]
    told = len(lines) - len(sums) + sum(int(one[1]) - int(one[2]) for one in sums)
    assert told == sum(refused for refused, _, _ in batches)
