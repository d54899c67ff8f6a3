from __future__ import annotations

import math
import random

import pytest
from scipy.stats import binom

from ragdiag.metrics.latency import interval_ranks, needed_for_interval, quantile_estimate


@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("n", [400, 1000, 12_345])
def test_ranks_are_those_of_the_exact_binomial(n: int, q: float) -> None:
    low, high = interval_ranks(n, q)
    assert binom.cdf(low - 1, n, q) <= 0.025 < binom.cdf(low, n, q)
    assert binom.sf(high - 1, n, q) <= 0.025 < binom.sf(high - 2, n, q)
    assert 1 <= low < high <= n


def test_ranks_of_a_million_values() -> None:
    low, high = interval_ranks(1_000_000, 0.95)
    assert low == binom.ppf(0.025, 1_000_000, 0.95)
    assert high == binom.isf(0.025, 1_000_000, 0.95) + 1


@pytest.mark.parametrize("q", [0.05, 0.5, 0.9, 0.95, 0.99])
def test_the_needed_n_is_enough_and_below_it_there_are_no_bounds(q: float) -> None:
    n = needed_for_interval(q)
    low, high = interval_ranks(n, q)
    assert 1 <= low < high <= n
    few = quantile_estimate([1.0] * (n - 1), q)
    assert few.value == 1.0
    assert math.isnan(few.low)
    assert math.isnan(few.high)
    assert few.reason == f"a 95 % interval for p{100 * q:g} needs n ≥ {n}"


def test_p95_needs_73() -> None:
    assert needed_for_interval(0.95) == 73
    enough = quantile_estimate(range(73), 0.95)
    assert (enough.low, enough.value, enough.high) == (64, 69, 72)


def test_the_value_was_observed_and_lies_in_its_interval() -> None:
    generator = random.Random(0)
    values = [generator.lognormvariate(4, 1) for _ in range(500)]
    for q in (0.5, 0.95):
        estimate = quantile_estimate(values, q)
        assert estimate.value in values
        assert estimate.low <= estimate.value <= estimate.high
        assert sum(value <= estimate.value for value in values) == math.ceil(500 * q)


def test_the_interval_covers_the_true_p95() -> None:
    generator = random.Random(1)
    covered = 0
    for _ in range(400):
        sample = quantile_estimate([generator.random() for _ in range(120)], 0.95)
        covered += sample.low <= 0.95 <= sample.high
    assert covered / 400 >= 0.93


def test_undefined_values_are_left_out_and_counted() -> None:
    estimate = quantile_estimate([2.0, math.nan, 1.0], 0.5)
    assert (estimate.value, estimate.n) == (1.0, 2)
    assert estimate.reason is not None
    assert estimate.reason.endswith("1 undefined values left out")


def test_no_values() -> None:
    assert quantile_estimate([], 0.5).to_json() == {
        "value": None,
        "low": None,
        "high": None,
        "n": 0,
        "reason": "no values",
    }


@pytest.mark.parametrize("q", [0.0, 1.0, -1.0])
def test_a_quantile_lies_inside_0_and_1(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile_estimate([1.0], q)
