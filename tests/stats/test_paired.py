from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ragdiag.stats import paired
from ragdiag.stats.paired import compare_paired, holm, mcnemar, paired_t, sign_flip


def test_comparison_agrees_with_scipy() -> None:
    generator = np.random.default_rng(0)
    a = generator.random(200)
    b = a + generator.normal(0.02, 0.1, size=200)
    result = compare_paired(a.tolist(), b.tolist())
    assert result.n == 200
    assert result.difference.value == pytest.approx(result.b - result.a)
    assert result.difference.low < result.difference.value < result.difference.high
    assert result.p == pytest.approx(float(stats.ttest_rel(b, a).pvalue))
    assert result.p_sign_flip == pytest.approx(result.p, abs=0.02)
    deviation = float((b - a).std(ddof=1))
    assert result.minimum_detectable == pytest.approx(2.8 * deviation / math.sqrt(200))


def test_swapping_the_versions_turns_the_difference_round() -> None:
    a, b = [0.1, 0.4, 0.2, 0.9], [0.3, 0.4, 0.5, 0.8]
    forth, back = compare_paired(a, b), compare_paired(b, a)
    assert back.difference.value == pytest.approx(-forth.difference.value)
    assert (back.p, back.p_sign_flip) == pytest.approx((forth.p, forth.p_sign_flip))


def test_undefined_questions_are_left_out_of_both() -> None:
    result = compare_paired([0.0, math.nan, 1.0, 0.5], [1.0, 1.0, math.nan, 1.0])
    assert (result.n, result.a, result.b) == (2, 0.25, 1.0)
    assert result.difference.reason == "2 undefined left out"


def test_identical_versions_show_no_difference_without_a_warning() -> None:
    result = compare_paired([0.2, 0.4, 0.9], [0.2, 0.4, 0.9])
    assert (result.p, result.p_sign_flip, result.minimum_detectable) == (1.0, 1.0, 0.0)
    assert result.difference.value == 0
    assert result.difference.reason == "no spread, so no interval"


def test_a_constant_difference() -> None:
    """Two questions that both turn right prove nothing, and without a spread t would say p = 0."""
    result = compare_paired([0.1, 0.2, 0.3, 0.7], [0.2, 0.3, 0.4, 0.8])
    assert result.p == result.p_sign_flip == 2 / 2**4
    assert result.minimum_detectable == 0.0
    assert math.isnan(result.difference.low)
    assert result.difference.reason == "no spread, so no interval"
    assert compare_paired([0.0, 0.0], [1.0, 1.0]).p == paired_t([1.0, 1.0]) == 0.5


def test_the_interval_knows_which_questions_belong_together() -> None:
    """Documents whose questions rise or fall together: by question the interval would miss the
    truth, 0, in half of the samples."""
    missed, trials, documents, each = 0, 200, 20, 15
    owners = np.repeat(np.arange(documents), each).tolist()
    for seed in range(trials):
        generator = np.random.default_rng(seed)
        deltas = np.repeat(generator.normal(0, 0.2, documents), each)
        deltas += generator.normal(0, 0.1, len(deltas))
        found = compare_paired([0.0] * len(deltas), deltas.tolist(), clusters=owners).difference
        missed += not found.low <= 0 <= found.high
    assert missed / trials <= 0.09  # 5 %, and three standard errors of 200 trials


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_questions_test_nothing(n: int) -> None:
    result = compare_paired([0.5] * n, [1.0] * n)
    assert result.n == n
    assert math.isnan(result.p)
    assert math.isnan(result.p_sign_flip)
    assert math.isnan(result.minimum_detectable)
    assert math.isnan(result.difference.low)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="shorter"):
        compare_paired([1.0], [])


@given(st.lists(st.integers(-4, 4), min_size=2, max_size=8))
def test_exact_sign_flips_equal_scipys_permutation_test(differences: list[int]) -> None:
    expected = stats.permutation_test(
        (np.array(differences, dtype=float),),
        np.sum,
        permutation_type="samples",
        n_resamples=np.inf,
    )
    assert sign_flip(differences) == pytest.approx(expected.pvalue)


def test_many_sign_flips_are_drawn_and_never_give_0() -> None:
    assert sign_flip([1.0] * 50) == 1 / 10_000
    mixed = np.random.default_rng(1).normal(0.1, 1, size=100).tolist()
    assert sign_flip(mixed, seed=1) == sign_flip(mixed, seed=1)
    assert sign_flip(mixed, seed=1) == pytest.approx(paired_t(mixed), abs=0.02)


def test_drawn_flips_agree_with_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = [0.3, -0.1, 0.4, 0.2, -0.2, 0.5, 0.1, 0.0, 0.6, -0.3]
    exact = sign_flip(differences)
    monkeypatch.setattr(paired, "EXACT_UP_TO", 0)
    monkeypatch.setattr(paired, "BLOCK", 1000)
    assert sign_flip(differences) == pytest.approx(exact, abs=0.02)


def test_holm_equals_the_definition() -> None:
    assert holm([0.01, 0.02, 0.03, 0.005]) == pytest.approx([0.03, 0.04, 0.04, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    with_gap = holm([0.02, math.nan, 0.01])
    assert with_gap[0] == 0.02
    assert math.isnan(with_gap[1])
    assert with_gap[2] == 0.02


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_exact_binomial(only_a: int, only_b: int) -> None:
    a = [1] * only_a + [0] * only_b + [1, 0]
    b = [0] * only_a + [1] * only_b + [1, 0]
    result = mcnemar(a, b)
    n = only_a + only_b
    expected = stats.binomtest(only_a, n).pvalue if n else 1.0
    assert result.p == pytest.approx(expected)
    assert (result.both, result.only_a, result.only_b, result.neither) == (1, only_a, only_b, 1)


def test_mcnemar_of_many_questions_does_not_overflow() -> None:
    result = mcnemar([1] * 3000 + [0] * 3200, [0] * 3000 + [1] * 3200)
    assert result.p == pytest.approx(stats.binomtest(3000, 6200).pvalue)
