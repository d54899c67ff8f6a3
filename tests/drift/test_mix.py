"""Other questions or other answers: Kitagawa's parts, against a plain sum."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.drift.mix import mix_effect
from ragdiag.drift.tallies import Share
from ragdiag.drift.week import week_report
from ragdiag.records import DEFAULT_GRADER, Grade, Weighed
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.results import save_findings
from tests.answered import MONDAY, OLD, answer, log

COUNTS = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda pair: (min(pair), max(pair)))
WINDOW = st.dictionaries(st.sampled_from("abcd"), COUNTS, min_size=1)


def shares(counts: Mapping[str, tuple[int, int]]) -> dict[str, Share]:
    return {name: Share(Weighed.of(k), Weighed.of(n)) for name, (k, n) in counts.items() if n}


@given(WINDOW, WINDOW)
def test_the_parts_add_up_to_the_change(one: dict, other: dict) -> None:  # type: ignore[type-arg]
    before, after = shares(one), shares(other)
    found = mix_effect(before, after)
    names = before.keys() | after.keys()
    if not (before and after) or len(names) < 2:
        assert found is None
        return
    totals = [sum(share.n.plain for share in window.values()) for window in (before, after)]
    mix = rates = 0.0
    for name in names:
        sides = [window.get(name) for window in (before, after)]
        known = [None if s is None else s.successes.plain / s.n.plain for s in sides]
        first, second = (known[i] if known[i] is not None else known[1 - i] for i in (0, 1))
        w = [0 if s is None else s.n.plain / total for s, total in zip(sides, totals, strict=True)]
        assert first is not None
        assert second is not None
        mix += (w[1] - w[0]) * (first + second) / 2
        rates += (second - first) * sum(w) / 2
    assert found is not None
    assert found.effect.value == pytest.approx(mix, abs=1e-9)
    assert found.change == pytest.approx(mix + rates, abs=1e-9)


def test_the_interval_holds_the_truth() -> None:
    generator = np.random.default_rng(4)
    rates, weeks = (0.9, 0.6, 0.3), ((0.6, 0.3, 0.1), (0.3, 0.4, 0.3))
    truth = sum((y - x) * rate for x, y, rate in zip(*weeks, rates, strict=True))

    def window(weights: tuple[float, ...]) -> dict[str, Share]:
        n = generator.multinomial(150, weights)
        right = generator.binomial(n, rates)
        return shares({s: (int(k), int(m)) for s, k, m in zip("abc", right, n, strict=True)})

    held = 0
    for seed in range(200):
        found = mix_effect(window(weeks[0]), window(weeks[1]), seed)
        assert found is not None
        held += found.effect.low <= truth <= found.effect.high
    assert held >= 182


def test_other_questions_are_told_from_worse_answers() -> None:
    easy, hard = (288, 320), (24, 80)
    asked = mix_effect(
        shares({"easy": easy, "hard": hard}), shares({"easy": (72, 80), "hard": (96, 320)})
    )
    assert asked is not None
    assert (asked.is_shown, asked.is_most) == (True, True)
    assert asked.effect.value == pytest.approx(asked.change) == pytest.approx(-0.36)
    worse = mix_effect(
        shares({"easy": easy, "hard": hard}), shares({"easy": (200, 320), "hard": hard})
    )
    assert worse is not None
    assert (worse.effect.value, worse.is_shown, worse.is_most) == (0.0, False, False)


def test_a_week_says_whether_its_topics_explain_it(lake: Lake, workspace: Workspace) -> None:
    """Half of the earlier week's questions are easy, a tenth of the later one's."""
    asked, grades = [], []
    for week, easy in ((0, 30), (1, 6)):
        for n in range(60):
            topic, right = ("easy", True) if n < easy else ("hard", n % 5 == 0)
            at = MONDAY + timedelta(days=7 * week, minutes=n)
            number = 60 * week + n
            asked.append(answer(number, OLD, traffic="production", asked_at=at, topic=topic))
            grades.append(Grade(asked[-1].request_id, DEFAULT_GRADER, int(right), 0.5))
    log(lake, workspace, asked)
    save_findings(lake, grades=grades)
    found = week_report(lake, Filters(traffic="production"), (MONDAY + timedelta(days=7)).date())
    assert found.mix is not None
    assert (found.mix.is_most, found.mix.segment) == (True, "easy")
    assert (found.mix.before, found.mix.after) == (0.5, 0.1)
    first = week_report(lake, Filters(traffic="production"), MONDAY.date())
    assert first.mix is None
