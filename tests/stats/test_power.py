"""Planned numbers of questions, against what happens when so many are drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ragdiag.stats.contrasts import paired_means
from ragdiag.stats.gates import gate_quality
from ragdiag.stats.paired import clustered_t, paired_t
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


def test_few_documents_show_the_effect_as_often_as_many() -> None:
    """By normal quantiles 164 questions, 20 to a document, were told; they show it in 75 %."""
    chance, size = np.random.default_rng(2), 20
    by_document, alone = 0.25 * math.sqrt(0.2), 0.25 * math.sqrt(0.8)
    deviation = math.sqrt(size * by_document**2 + alone**2)
    n = questions_needed(deviation, 0.12, size=size)
    documents = math.ceil(n / size)
    shown = 0
    for _ in range(400):
        drawn = 0.12 + chance.normal(0, by_document, (documents, 1))
        drawn = (drawn + chance.normal(0, alone, (documents, size))).ravel()
        owners = np.repeat(range(documents), size).tolist()
        shown += clustered_t(paired_means([0.0] * len(drawn), drawn.tolist(), owners)) < 0.05
    assert documents < 15
    assert shown / 400 == pytest.approx(power_at(documents * size, deviation, 0.12, size), abs=0.05)


def test_documents_that_stand_alone_take_what_the_normal_quantiles_say() -> None:
    for deviation, effect in ((0.25, 0.05), (0.3, 0.02), (0.5, 0.01)):
        by_normal = math.ceil((2.8016 * deviation / effect) ** 2)
        assert 0 <= questions_needed(deviation, effect) - by_normal <= 2


def test_no_plan_rests_on_fewer_than_five_documents() -> None:
    assert questions_needed(0.1, 5.0) == 5
    assert questions_needed(0.1, 5.0, size=20) == 100


def test_nothing_is_planned_for_no_effect_or_from_no_spread() -> None:
    with pytest.raises(ValueError, match="effect 0"):
        questions_needed(0.3, 0.0)
    with pytest.raises(ValueError, match="deviation 0"):
        questions_to_pass(0.0, 0.05)
    with pytest.raises(ValueError, match="fewer than one"):
        questions_needed(0.3, 0.05, size=0.5)


def test_effects_beyond_and_below_all_measure_have_numbers() -> None:
    assert power_at(1_000, 0.25, 0.31) == 1.0, "scipy's distribution function is NaN there"
    assert questions_needed(0.25, 1e-10, 0.8) > 10**18
