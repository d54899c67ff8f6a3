"""Weighted rates and means against plain loops, and their intervals against repeated sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.records import Weighed
from ragdiag.stats.intervals import (
    Sums,
    difference_of_means,
    difference_of_rates,
    mean_estimate,
    mean_estimate_from_sums,
    wilson,
)
from ragdiag.stats.weighted import (
    WeightedSums,
    difference_of_weighted_rates,
    effective_n,
    weighted_rate,
)

COUNTS = st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
Rows = Sequence[tuple[float, float]]
"""(x, weight) of each request."""


def weigh(rows: Rows, power: int) -> Weighed:
    """Σxᵖ, Σwxᵖ and Σw²xᵖ."""
    return Weighed(
        sum(x**power for x, _ in rows),
        sum(w * x**power for x, w in rows),
        sum(w * w * x**power for x, w in rows),
    )


def sums(rows: Rows) -> WeightedSums:
    return WeightedSums(weigh(rows, 0), weigh(rows, 1), weigh(rows, 2))


@given(COUNTS, COUNTS)
def test_where_everything_was_logged_rates_are_the_plain_ones(
    a: tuple[int, int], b: tuple[int, int]
) -> None:
    first, second = [tuple(map(Weighed.of, one)) for one in (a, b)]
    assert same(weighted_rate(*first), wilson(*a))
    assert same(difference_of_weighted_rates(*first, *second), difference_of_rates(*a, *b))


@settings(deadline=None)  # the first call loads scipy
@given(*2 * [st.lists(st.floats(0, 1), max_size=20)])
def test_where_everything_was_logged_means_are_the_plain_ones(
    a: list[float], b: list[float]
) -> None:
    first, second = sums([(x, 1.0) for x in a]), sums([(x, 1.0) for x in b])
    plain = [Sums(one.n, one.total.plain, one.total_squares.plain) for one in (first, second)]
    assert same(mean_estimate(first), mean_estimate_from_sums(*astuple(plain[0])))
    assert same(difference_of_means(first, second), difference_of_means(*plain))


def astuple(found: Sums) -> tuple[int, float, float]:
    return found.n, found.total, found.total_squares


def same(one: object, other: object) -> bool:
    return repr(one) == repr(other)  # NaN equals itself here


ROWS = st.lists(st.tuples(st.sampled_from([0, 1]), st.sampled_from([1.0, 4.0, 20.0])), min_size=2)


@given(ROWS)
def test_a_weighted_rate_is_its_definition(rows: Rows) -> None:
    successes, n = weigh(rows, 1), weigh(rows, 0)
    whole = sum(w for _, w in rows)
    rate = sum(w * x for x, w in rows) / whole
    variance = sum((w * (x - rate)) ** 2 for x, w in rows) / whole**2
    found = weighted_rate(successes, n)
    assert found.n == len(rows)
    assert found.value == pytest.approx(rate)
    assert 0 <= found.low <= found.value <= found.high <= 1
    kish = whole**2 / sum(w * w for _, w in rows)
    if 0 < rate < 1:
        told, weights = rate * (1 - rate) / variance, [w for _, w in rows]
        of_successes = [w for x, w in rows if x]
        share = len(of_successes) / len(rows)
        error = np.var(weights) / len(of_successes) * (1 - share)
        apart = (np.mean(of_successes) - np.mean(weights)) ** 2
        if abs(apart - 9 * error) < 1e-9:  # rounding decides, if it is not of equal weights
            assert effective_n(successes, n) in (pytest.approx(told), pytest.approx(kish))
        else:
            least = min(told, kish) if apart < 9 * error else told
            assert effective_n(successes, n) == pytest.approx(least)
        assert effective_n(successes, n) <= whole * (1 + 1e-9)
    else:
        assert effective_n(successes, n) == pytest.approx(kish)


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([1.0, 4.0])), min_size=2))
def test_a_weighted_mean_is_its_definition(rows: Rows) -> None:
    found = sums(rows)
    whole = sum(w for _, w in rows)
    mean = sum(w * x for x, w in rows) / whole
    variance = sum((w * (x - mean)) ** 2 for x, w in rows) / whole**2
    assert found.mean == pytest.approx(mean, abs=1e-12)
    assert found.error == pytest.approx(variance * len(rows) / (len(rows) - 1), abs=1e-10)


@pytest.mark.parametrize("seen", [0, 1, 2, 3, 4, 50, 97, 99, 100])
def test_a_sample_of_equal_weights_tells_what_as_many_requests_do(seen: int) -> None:
    """Next to 0 and 1 too, where Wilson's interval alone is too narrow."""
    found = weighted_rate(Weighed(seen, 10.0 * seen, 100.0 * seen), Weighed(100, 1e3, 1e4))
    plain = wilson(seen, 100)
    assert (found.low, found.high) == (pytest.approx(plain.low), pytest.approx(plain.high))
    assert (found.value, found.n) == (plain.value, 100)


def test_one_request_has_no_interval() -> None:
    assert math.isnan(sums([(0.5, 4.0)]).error)
    assert mean_estimate(sums([(0.5, 4.0)])).reason == "one value has no interval"
    assert mean_estimate(sums([])).reason == "no rows"


RATE = 0.1


def logged(chance: np.random.Generator, wrong: float) -> Rows:
    """A day of 2,000 requests, logged as services do: errors are kept, the rest is drawn."""
    errors = chance.random(2_000) < wrong
    kept = errors | (chance.random(2_000) < RATE)
    return [(float(one), 1.0 if one else 1 / RATE) for one in errors[kept]]


@pytest.mark.parametrize("wrong", [0.02, 0.2])
def test_intervals_of_rates_hold_the_truth_as_often_as_they_say(wrong: float) -> None:
    chance = np.random.default_rng(5)
    days = [logged(chance, wrong) for _ in range(600)]
    found = [weighted_rate(weigh(rows, 1), weigh(rows, 0)) for rows in days]
    assert sum(one.low <= wrong <= one.high for one in found) / 600 > 0.93
    plain = [wilson(int(weigh(rows, 1).plain), len(rows)) for rows in days]
    assert not any(one.low <= wrong <= one.high for one in plain)
    changes = [
        difference_of_weighted_rates(weigh(a, 1), weigh(a, 0), weigh(b, 1), weigh(b, 0))
        for a, b in zip(days[::2], days[1::2], strict=True)
    ]
    assert 0.93 < sum(one.low <= 0 <= one.high for one in changes) / 300 < 0.98


def test_intervals_of_means_hold_the_truth_as_often_as_they_say() -> None:
    """Scores of those that are kept for certain are lower."""
    chance = np.random.default_rng(6)
    held = []
    for _ in range(600):
        slow = chance.random(500) < 0.1
        scores = np.where(slow, chance.beta(1, 3, 500), chance.beta(3, 1, 500))
        kept = slow | (chance.random(500) < RATE)
        weights = np.where(slow, 1.0, 1 / RATE)[kept]
        found = mean_estimate(sums(list(zip(scores[kept], weights, strict=True))))
        held.append(found.low <= 0.1 * 0.25 + 0.9 * 0.75 <= found.high)
    assert 0.93 < sum(held) / 600 < 0.975
