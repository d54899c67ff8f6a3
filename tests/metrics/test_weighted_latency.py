"""Weighted quantiles against their definition, and their intervals against repeated sampling."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.metrics.latency import (
    RELATIVE_ERROR,
    histogram_quantile_estimate,
    quantile_estimate,
)
from ragdiag.metrics.weighted_latency import (
    weighted_histogram_estimate,
    weighted_quantile_estimate,
)
from ragdiag.records import Estimate, Weighed
from ragdiag.timing import BUCKET_BASE

VALUES = st.floats(0.01, 1e5)
QUANTILES = st.sampled_from([0.5, 0.95, 0.99])


def bucket(ms: float) -> int:
    return math.ceil(math.log(ms) / math.log(BUCKET_BASE))


def histogram(values: list[float], weights: list[float]) -> dict[int | None, Weighed]:
    held: dict[int | None, Weighed] = defaultdict(lambda: Weighed.of(0))
    for value, weight in zip(values, weights, strict=True):
        held[bucket(value)] += Weighed(1, weight, weight * weight)
    return dict(held)


@given(st.lists(VALUES, max_size=120), QUANTILES)
def test_where_everything_was_logged_quantiles_are_the_plain_ones(
    values: list[float], q: float
) -> None:
    ones = [1.0] * len(values)
    assert repr(weighted_quantile_estimate(values, ones, q)) == repr(quantile_estimate(values, q))
    counts = {name: int(held.plain) for name, held in histogram(values, ones).items()}
    found = weighted_histogram_estimate(histogram(values, ones), q)
    assert repr(found) == repr(histogram_quantile_estimate(counts, q))


@given(st.lists(VALUES, min_size=1, max_size=120), QUANTILES)
def test_requests_of_one_chance_have_the_plain_quantiles(values: list[float], q: float) -> None:
    """A sample in which all weigh alike tells of all what it tells of itself."""
    found = weighted_quantile_estimate(values, [8.0] * len(values), q)
    plain = quantile_estimate(values, q)
    assert (found.value, found.n) == (plain.value, plain.n)
    assert repr((found.low, found.high)) == repr((plain.low, plain.high))


@given(st.lists(st.tuples(VALUES, st.sampled_from([1.0, 4.0, 20.0])), min_size=1), QUANTILES)
def test_the_value_is_its_definition(rows: list[tuple[float, float]], q: float) -> None:
    whole = sum(weight for _, weight in rows)
    wanted = min(v for v, _ in rows if sum(w for x, w in rows if x <= v) >= (q - 1e-9) * whole)
    values, weights = map(list, zip(*rows, strict=True))
    found = weighted_quantile_estimate(values, weights, q)
    assert (found.value, found.n) == (wanted, len(rows))
    near = weighted_histogram_estimate(histogram(values, weights), q)
    assert near.value == pytest.approx(wanted, rel=RELATIVE_ERROR + 1e-9)
    assert near.n == len(rows)
    for one in (found, near):
        assert math.isnan(one.low) or one.low <= one.value <= one.high


def test_too_few_say_what_they_are_worth() -> None:
    found = weighted_quantile_estimate(range(80), [1.0] * 40 + [10.0] * 40, 0.95)
    assert math.isnan(found.low)
    assert found.reason == "a 95 % interval for p95 needs n ≥ 73, these tell as much as 44"
    with pytest.raises(ValueError, match="q must lie between"):
        weighted_quantile_estimate([1.0, 2.0], [1.0, 2.0], 1.0)


SLOW_MS, RATE, TRUE_P95 = 300.0, 0.2, 100 * math.exp(1.6448536 * 0.8)


def logged_day(chance: np.random.Generator) -> tuple[list[float], list[float]]:
    """3,000 lognormal latencies; slow ones are always kept, the rest is drawn."""
    values = 100 * np.exp(0.8 * chance.standard_normal(3_000))
    slow = values >= SLOW_MS
    kept = slow | (chance.random(3_000) < RATE)
    return values[kept].tolist(), np.where(slow, 1.0, 1 / RATE)[kept].tolist()


@pytest.mark.parametrize("form", ["values", "buckets"])
def test_intervals_of_p95_hold_the_truth_as_often_as_they_say(form: str) -> None:
    chance = np.random.default_rng(7)
    days = [logged_day(chance) for _ in range(400)]

    def estimate(values: list[float], weights: list[float]) -> Estimate:
        if form == "values":
            return weighted_quantile_estimate(values, weights, 0.95)
        return weighted_histogram_estimate(histogram(values, weights), 0.95)

    found = [estimate(*day) for day in days]
    assert sum(one.low <= TRUE_P95 <= one.high for one in found) / 400 > 0.93
    assert np.mean([one.high - one.low for one in found]) < 0.2 * TRUE_P95
    plain = [quantile_estimate(values, 0.95) for values, _ in days]
    assert not any(one.low <= TRUE_P95 <= one.high for one in plain)


def test_equal_values_tell_as_much_as_their_bucket() -> None:
    """However their weights differ: nothing lies between them."""
    weights = [1.0] * 8 + [4.0] * 3
    exact = weighted_quantile_estimate([0.0] * 11, weights, 0.5)
    held = Weighed(11, sum(weights), sum(weight * weight for weight in weights))
    near = weighted_histogram_estimate({None: held}, 0.5)
    assert (exact.low, exact.high, exact.n) == (near.low, near.high, 11) == (0, 0, 11)
