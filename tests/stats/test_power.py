"""Planned numbers of questions, against what happens when so many are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from ragdiag.stats.contrasts import paired_means
from ragdiag.stats.gates import gate_quality
from ragdiag.stats.paired import paired_t
from ragdiag.stats.power import power_at, questions_needed, questions_to_pass


def test_so_many_questions_show_the_effect_four_times_of_five() -> None:
    n = questions_needed(0.3, 0.05)
    draws = np.random.default_rng(0).normal(0.05, 0.3, size=(1000, n))
    assert np.mean([paired_t(row.tolist()) < 0.05 for row in draws]) == pytest.approx(0.8, abs=0.04)
    assert power_at(n, 0.3, 0.05) == pytest.approx(0.8, abs=0.005)


def test_so_many_questions_pass_an_equal_version_nine_times_of_ten() -> None:
    chance = np.random.default_rng(1)
    n = questions_to_pass(0.1, 0.02 * 0.5, power=0.9)
    passed = 0
    for _ in range(300):
        a = chance.normal(0.5, 0.01, n)
        b = 0.98 * a + chance.normal(0.01, 0.1, n)
        passed += gate_quality(paired_means(a.tolist(), b.tolist()), "m").decision == "pass"
    assert passed / 300 == pytest.approx(0.9, abs=0.05)


def test_nothing_is_planned_for_no_effect_or_from_no_spread() -> None:
    with pytest.raises(ValueError, match="effect 0"):
        questions_needed(0.3, 0.0)
    with pytest.raises(ValueError, match="deviation 0"):
        questions_to_pass(0.0, 0.05)
