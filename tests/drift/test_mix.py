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

COUNTS = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: (min(pair), max(pair)))
WINDOW = st.dictionaries(st.sampled_from("abcd"), COUNTS, min_size=1)


def shares(counts: Mapping[str, tuple[int, int]]) -> dict[str, Share]:
    return {name: Share(Weighed.of(k), Weighed.of(n)) for name, (k, n) in counts.items() if n}


@given(WINDOW, WINDOW)
def test_the_parts_add_up_to_the_change(one: dict, other: dict) -> None:  # type: ignore[type-arg]
    found = mix_effect(shares(one), shares(other))
    alike = {name for name in one.keys() & other.keys() if min(one[name][1], other[name][1]) >= 10}
    sides: list[dict[str, tuple[int, int]]] = [{}, {}]
    for side, window in zip(sides, (one, other), strict=True):
        for name, (k, n) in window.items():
            told = name if name in alike else "others"
            before = side.get(told, (0, 0))
            side[told] = before[0] + k, before[1] + n
    totals = [sum(n for _, n in side.values()) for side in sides]
    names = {name for side in sides for name, (_, n) in side.items() if n}
    alone = [
        side[name][1] / total
        for side, total, against in zip(sides, totals, sides[::-1], strict=True)
        for name in names
        if name in side and not against.get(name, (0, 0))[1] and total
    ]
    if not all(totals) or len(names) < 2 or max(alone, default=0) > 0.1:
        assert found is None
        return
    mix = rates = 0.0
    for name in names:
        counts = [side.get(name, (0, 0)) for side in sides]
        known = [k / n if n else None for k, n in counts]
        first, second = (known[i] if known[i] is not None else known[1 - i] for i in (0, 1))
        w = [n / total for (_, n), total in zip(counts, totals, strict=True)]
        assert first is not None
        assert second is not None
        mix += (w[1] - w[0]) * (first + second) / 2
        rates += (second - first) * sum(w) / 2
    assert found is not None
    assert found.effect.value == pytest.approx(mix, abs=1e-9)
    assert found.change == pytest.approx(mix + rates, abs=1e-9)


def test_what_was_renamed_tells_nothing() -> None:
    named = shares({"billing": (70, 100), "shipping": (65, 100)})
    assert mix_effect(shares({"no topic": (180, 200)}), named) is None
    found = mix_effect(
        shares({"billing": (180, 200), "other": (80, 100)}),
        shares({"Billing": (120, 200), "other": (80, 100)}),
    )
    assert found is not None
    assert (found.effect.value, found.is_shown) == (0.0, False)


def test_many_small_topics_are_one() -> None:
    chance = np.random.default_rng(1)

    def week(rate: float) -> dict[str, Share]:
        topics = chance.integers(0, 1_000, 240)
        right = chance.random(240) < rate
        return shares(
            {str(t): (int(right[topics == t].sum()), int((topics == t).sum())) for t in topics}
        )

    assert all(mix_effect(week(0.8), week(0.68)) is None for _ in range(20))


def test_what_did_it_went_the_way_of_it() -> None:
    """The topic that moved most may have moved the rate the other way."""
    found = mix_effect(
        shares({"worst": (1, 100), "good": (190, 200), "bad": (10, 50), "poor": (10, 50)}),
        shares({"worst": (1, 50), "good": (80, 90), "bad": (25, 130), "poor": (25, 130)}),
    )
    assert found is not None
    assert found.effect.value < 0
    assert found.segment == "good"


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
    for week, easy in ((0, 60), (1, 12)):
        for n in range(120):
            topic, right = ("easy", True) if n < easy else ("hard", n % 5 == 0)
            at = MONDAY + timedelta(days=7 * week, minutes=n)
            number = 120 * week + n
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
