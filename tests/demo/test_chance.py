"""Chance that repeats itself."""

from __future__ import annotations

from collections import Counter

import pytest

from ragdiag.demo.chance import pick, stable_fraction


def test_fractions_are_spread_evenly_and_depend_on_every_name() -> None:
    drawn = [stable_fraction(str(n), "of") for n in range(2000)]

    assert all(0 <= fraction < 1 for fraction in drawn)
    assert Counter(int(fraction * 4) for fraction in drawn).most_common()[-1][1] > 440
    assert stable_fraction("a", "b") != stable_fraction("ab")


@pytest.mark.parametrize(
    ("fraction", "option"), [(0.0, "a"), (0.249, "a"), (0.25, "c"), (0.999999, "c")]
)
def test_an_option_is_picked_by_its_weight(fraction: float, option: str) -> None:
    assert pick({"a": 1, "b": 0, "c": 3}, fraction) == option
