from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ragdiag.stats.contrasts import independent_means, paired_means
from ragdiag.stats.gates import gate_quality
from ragdiag.stats.paired import clustered_t

Pairs = list[tuple[float, float]]
PAIRS = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=2, max_size=30)


def plain_cluster_error(values: list[float], clusters: list[str]) -> float:
    """CR2 of a mean by its definition, over pairs of values."""
    n, mean = len(values), sum(values) / len(values)
    pairs = (
        (values[i] - mean) * (values[j] - mean) / (1 - clusters.count(clusters[i]) / n)
        for i in range(n)
        for j in range(n)
        if clusters[i] == clusters[j]
    )
    return math.sqrt(max(sum(pairs), 0.0)) / n


def plain_freedom(clusters: list[str]) -> float:
    """Bell & McCaffrey's by its definition: with g the residuals' weights in each cluster's sum,
    scaled, it is (Σ g·g)² / Σ (g·h)² over pairs of clusters."""
    n, names = len(clusters), sorted(set(clusters))
    residuals = np.eye(n) - 1 / n
    rows = []
    for name in names:
        inside = np.array([one == name for one in clusters], dtype=float)
        rows.append(inside @ residuals / np.sqrt(1 - inside.sum() / n))
    products = np.array(rows) @ np.array(rows).T
    return float(np.trace(products) ** 2 / np.sum(products**2))


def test_bounds_are_those_of_the_one_sided_t_test() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.random(50), generator.random(50)
    contrast = paired_means(a.tolist(), b.tolist()).contrast(0.98)
    expected = stats.ttest_1samp(b - 0.98 * a, 0.0, alternative="greater")
    assert contrast.lower(0.95) == pytest.approx(expected.confidence_interval(0.95).low)
    above = stats.ttest_1samp(b - 0.98 * a, 0.0, alternative="less")
    assert contrast.upper(0.975) == pytest.approx(above.confidence_interval(0.975).high)


def test_two_samples_are_compared_as_welch_does() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.random(20), 2 * generator.random(60)
    contrast = independent_means(a.tolist(), b.tolist()).contrast(1.0)
    expected = stats.ttest_ind(b, a, equal_var=False)
    assert contrast.freedom == pytest.approx(expected.df)
    interval = expected.confidence_interval(0.95)
    estimate = contrast.estimate(60)
    assert (estimate.low, estimate.high) == pytest.approx((interval.low, interval.high))


@given(PAIRS, st.sampled_from([0.9, 0.98, 1.0]), st.randoms())
def test_the_error_is_the_plain_definition(pairs: Pairs, weight: float, chance: object) -> None:
    a, b = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    clusters = ["u", "v", *(chance.choice("uvwx") for _ in a[2:])]  # type: ignore[attr-defined]
    found = paired_means(a, b, clusters).contrast(weight)
    deltas = [y - weight * x for x, y in zip(a, b, strict=True)]
    # The root of what rounding leaves of the definition's sum, where all clusters agree.
    assert found.error == pytest.approx(plain_cluster_error(deltas, clusters), abs=1e-6)
    assert found.freedom == pytest.approx(plain_freedom(clusters))


@given(PAIRS)
def test_questions_on_their_own_have_the_textbook_error(pairs: Pairs) -> None:
    a, b = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    deltas = np.array(b) - np.array(a)
    expected = deltas.std(ddof=1) / math.sqrt(len(deltas))
    assert paired_means(a, b).contrast(1.0).error == pytest.approx(expected, abs=1e-12)
    expected = math.hypot(*(np.std(side, ddof=1) / math.sqrt(len(side)) for side in (a, b)))
    assert independent_means(a, b).contrast(1.0).error == pytest.approx(expected, abs=1e-12)


def test_asking_every_question_again_teaches_nothing() -> None:
    a, b = [0.2, 0.5, 1.0, 0.1], [0.1, 0.5, 1.0, 0.3]
    once = paired_means(a, b).contrast(1.0)
    thrice = paired_means(a * 3, b * 3, list("wxyz") * 3).contrast(1.0)
    assert (thrice.error, thrice.freedom) == pytest.approx((once.error, once.freedom))
    assert paired_means(a * 3, b * 3).contrast(1.0).error < once.error


def test_undefined_values_are_left_out_and_counted() -> None:
    means = paired_means([0.0, math.nan, 1.0], [1.0, 1.0, math.nan])
    assert (means.n, means.left_out, means.clusters) == (1, 2, 1)
    assert math.isnan(means.contrast(1.0).lower(0.95))
    assert means.contrast(1.0).estimate(1).reason == "below two clusters there is no interval"
    split = independent_means([math.nan], [1.0, math.nan, 0.0])
    assert (split.n_a, split.n, split.left_out) == (0, 2, 2)
    assert split.contrast(1.0).estimate(2).reason == "no values"


def test_the_same_values_on_both_sides_have_no_error() -> None:
    values = [0.1, 0.7, 1 / 3] * 10
    contrast = paired_means(values, values).contrast(1.0)
    assert (contrast.value, contrast.error, contrast.distance) == (0.0, 0.0, 0.0)
    apart = paired_means([0.1] * 9, [0.3] * 9).contrast(1.0)
    assert (apart.error, apart.distance) == (0.0, math.inf)


@pytest.mark.parametrize("right", [(6, 5), (10, 9), (3, 7), (1, 0)])
def test_clusters_that_agree_have_no_error_whatever_rounding_leaves(right: tuple[int, int]) -> None:
    a, b = ([1.0] * k + [0.0] * (10 - k) for k in right)
    twice = paired_means(a * 2, b * 2, [0] * 10 + [1] * 10)
    contrast = twice.contrast(1.0)
    assert contrast.error == 0
    assert math.isnan(contrast.upper(0.975))
    assert clustered_t(twice) == 0.5  # that two signs agree
    assert gate_quality(twice, "correct").decision == "inconclusive"
    six = paired_means(a * 6, b * 6, [n // 10 for n in range(60)]).contrast(1.0)
    assert six.upper(0.975) == six.value  # six signs agree once in 64
    five = paired_means(a * 5, b * 5, [n // 10 for n in range(50)]).contrast(1.0)
    assert math.isnan(five.upper(0.975))
    assert five.lower(0.95) == five.value


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        paired_means([1.0], [])
    with pytest.raises(ValueError, match="shorter"):
        independent_means([1.0, 2.0], [1.0], clusters_a=["u"])
