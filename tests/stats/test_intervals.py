from __future__ import annotations

import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import ragdiag.stats
from ragdiag.stats.bootstrap import (
    RESAMPLES,
    bca_interval,
    bca_mean,
    bootstrap_means,
    bounded_mean,
    expansion,
)
from ragdiag.stats.intervals import (
    Sums,
    bounded_mean_estimate,
    difference_of_means,
    difference_of_rates,
    mean_estimate_from_sums,
    rate_bounds_with_unknown,
    wilson,
)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipys_but_for_the_rare(counts: tuple[int, int]) -> None:
    successes, n = counts
    estimate = wilson(successes, n)
    exact = stats.binomtest(successes, n).proportion_ci(method="wilson")
    few = 2 if n <= 50 else 3
    low, high = exact.low, exact.high
    if 1 <= successes <= few:  # with λ = n · bound, P(X ≥ successes) of a Poisson X is 5 %
        low = min(low, stats.gamma.ppf(0.05, successes) / n)
    if 1 <= n - successes <= few:
        high = max(high, 1 - stats.gamma.ppf(0.05, n - successes) / n)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1e-6)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.n == n


@pytest.mark.parametrize(("successes", "n"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_a_defect(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes of 3"):
        wilson(successes, n)
    with pytest.raises(ValueError, match="successes of 3 known"):
        rate_bounds_with_unknown(successes, n, 0)


def test_bounds_with_unknown() -> None:
    assert rate_bounds_with_unknown(3, 4, 0) == (0.75, 0.75)
    assert rate_bounds_with_unknown(0, 0, 5) == (0.0, 1.0)
    assert all(math.isnan(bound) for bound in rate_bounds_with_unknown(0, 0, 0))


@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [
        # Newcombe 1998, table II, method 10; his difference is first less second.
        ((48, 80), (56, 70), 0.0524, 0.3339),
        ((3, 10), (9, 10), 0.1705, 0.8143),  # 0.8090 with Wilson's own bound of one failure
        ((0, 10), (10, 10), 0.6075, 1.0000),
        ((0, 10), (0, 10), -0.2775, 0.2775),
    ],
)
def test_difference_of_rates_is_newcombes(
    a: tuple[int, int], b: tuple[int, int], low: float, high: float
) -> None:
    estimate = difference_of_rates(*a, *b)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=6e-5)
    assert estimate.n == a[1] + b[1]
    back = difference_of_rates(*b, *a)
    assert (back.value, back.low, back.high) == pytest.approx(
        (-estimate.value, -estimate.high, -estimate.low)
    )


def test_differences_with_an_empty_sample_are_undefined() -> None:
    for estimate in (
        difference_of_rates(1, 2, 0, 0),
        difference_of_means(Sums.of([1.0, 2.0]), Sums.of([])),
    ):
        assert math.isnan(estimate.value)
        assert (estimate.n, estimate.reason) == (2, "one of the two samples is empty")


VALUES = st.lists(st.floats(-1000, 1000), min_size=2, max_size=40)


@given(VALUES)
def test_a_mean_from_sums_equals_the_students_interval_of_its_values(values: list[float]) -> None:
    sums = Sums.of(values)
    estimate = mean_estimate_from_sums(sums.n, sums.total, sums.total_squares)
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * error
    assert estimate.value == pytest.approx(float(np.mean(values)), abs=1e-9)
    # Sums of squares lose half of the digits: a spread below 1e-6 of the values reads as none.
    assert estimate.high - estimate.value == pytest.approx(half, rel=1e-4, abs=5e-3)
    assert estimate.low + estimate.high == pytest.approx(2 * estimate.value, abs=1e-9)


def test_means_of_few_or_equal_values() -> None:
    assert mean_estimate_from_sums(0, 0.0, 0.0).reason == "no rows"
    one = mean_estimate_from_sums(1, 0.3, 0.09)
    assert (one.value, one.reason) == (0.3, "one value has no interval")
    assert math.isnan(one.low)
    equal = Sums.of([0.1] * 7)
    estimate = mean_estimate_from_sums(7, equal.total, equal.total_squares)
    assert estimate.low == estimate.value == estimate.high


def test_difference_of_means_is_welchs() -> None:
    generator = random.Random(3)
    a = [generator.gauss(0, 1) for _ in range(30)]
    b = [generator.gauss(1, 5) for _ in range(12)]
    estimate = difference_of_means(Sums.of(a), Sums.of(b))
    exact = stats.ttest_ind(b, a, equal_var=False).confidence_interval()
    assert (estimate.low, estimate.high) == pytest.approx((exact.low, exact.high))
    assert estimate.n == 42


def test_difference_of_means_of_tiny_or_equal_samples() -> None:
    single = difference_of_means(Sums.of([1.0]), Sums.of([2.0, 3.0]))
    assert (single.value, single.reason) == (1.5, "one value has no interval")
    equal = difference_of_means(Sums.of([1.0, 1.0]), Sums.of([2.0, 2.0]))
    assert (equal.value, equal.reason) == (1.0, "neither sample has any spread")
    assert math.isnan(equal.low)


def test_bca_agrees_with_scipys_on_a_skewed_sample() -> None:
    sample = np.random.default_rng(5).exponential(size=60)
    estimate = bca_mean(sample.tolist(), seed=1)
    reference = stats.bootstrap(
        (sample,), np.mean, n_resamples=9_999, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    assert (estimate.low, estimate.high) == pytest.approx((reference.low, reference.high), abs=0.02)
    assert estimate.high - estimate.value > estimate.value - estimate.low


def test_bca_with_the_same_resamples_equals_its_definition() -> None:
    sample = np.random.default_rng(8).exponential(size=15)
    means = bootstrap_means(sample, 4, RESAMPLES)
    bias = stats.norm.ppf(np.mean(means < sample.mean()))
    left_out = np.array([np.delete(sample, i).mean() for i in range(len(sample))])
    spread = left_out.mean() - left_out
    acceleration = np.sum(spread**3) / (6 * np.sum(spread**2) ** 1.5)
    levels = [
        stats.norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
        for z in expansion(15) * stats.norm.ppf([0.025, 0.975])
    ]
    expected = np.quantile(means, levels)
    assert bca_interval(sample.tolist(), seed=4) == pytest.approx(expected.tolist())


def test_blocks_do_not_change_the_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = np.random.default_rng(0).random(50)
    whole = bootstrap_means(sample, seed=7, resamples=1000)
    monkeypatch.setattr("ragdiag.stats.bootstrap.BLOCK", 50 * 64)
    np.testing.assert_array_equal(bootstrap_means(sample, seed=7, resamples=1000), whole)


def test_bca_is_deterministic_and_covers() -> None:
    generator = np.random.default_rng(11)
    values = generator.random(40).tolist()
    assert bca_mean(values, seed=3) == bca_mean(values, seed=3)
    samples = [generator.random(30).tolist() for _ in range(100)]
    covered = [e.low <= 0.5 <= e.high for e in map(bca_mean, samples)]
    assert sum(covered) >= 88


@pytest.mark.parametrize("value", [0.0, 0.1, -3.0])
def test_equal_values_have_no_interval_where_nothing_bounds_them(value: float) -> None:
    estimate = bca_mean([value] * 3)
    assert estimate.value == pytest.approx(value)
    assert math.isnan(estimate.low)
    assert estimate.reason == "equal values have no interval"


@given(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=2, max_size=30))
def test_a_bounded_mean_stays_in_its_range_and_holds_its_value(values: list[float]) -> None:
    found = bounded_mean_estimate(Sums.of(values), 0, 1)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    mirrored = bounded_mean_estimate(Sums.of(1 - x for x in values), 0, 1)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((found.low, found.high))


def test_a_bounded_mean_is_the_wider_of_both() -> None:
    values = [0.0] * 28 + [1.0, 0.5]
    found, plain = bounded_mean(values, 0, 1), bounded_mean_estimate(Sums.of(values), 0, 1)
    low, high = bca_interval(values, seed=0)
    assert (found.low, found.high) == (min(low, plain.low), max(high, plain.high))


def test_bca_without_enough_values() -> None:
    assert bca_mean([]).to_json()["reason"] == "no values"
    assert bca_mean([math.nan]).reason == "no values; 1 undefined left out"
    one = bca_mean([0.4, math.nan])
    assert (one.value, one.n) == (0.4, 1)
    assert math.isnan(one.low)
    two = bca_mean([0.0, 1.0, math.nan])
    assert (two.n, two.reason) == (2, "1 undefined left out")
    assert two.low <= two.value <= two.high


def test_importing_the_statistics_does_not_import_scipy() -> None:
    rooms = Path(ragdiag.stats.__file__).parent.glob("[a-z]*.py")
    names = ", ".join([*(f"ragdiag.stats.{one.stem}" for one in rooms), "ragdiag.metrics.latency"])
    calls = "ragdiag.stats.intervals.wilson(1, 2)"
    check = "assert not [m for m in sys.modules if m.startswith('scipy')]"
    code = f"import sys, {names}; {calls}; {check}"
    subprocess.run([sys.executable, "-c", code], check=True)
