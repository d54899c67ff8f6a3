"""Benjamini and Hochberg's rule against scipy's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from ragdiag.stats.families import benjamini_hochberg


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_the_adjusted_values_are_scipys(p_values: list[float]) -> None:
    expected = false_discovery_control(p_values).tolist()
    assert benjamini_hochberg(p_values) == pytest.approx(expected)


def test_no_test_is_no_family() -> None:
    assert benjamini_hochberg([]) == []
