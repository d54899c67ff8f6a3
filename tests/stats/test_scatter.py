"""Intervals widened by how users scatter, against the cluster-robust standard error."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.records import Estimate
from ragdiag.stats.intervals import wilson
from ragdiag.stats.scatter import Scatter, widened

Observed = list[tuple[int, int]]
OBSERVED = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=1, max_size=40)


def scatter_of(observed: Observed) -> Scatter:
    """Of pairs of user and outcome."""
    users = sorted({user for user, _ in observed})
    sizes = np.array([sum(one == user for one, _ in observed) for user in users], dtype=float)
    sums = np.array([sum(y for one, y in observed if one == user) for user in users], dtype=float)
    return Scatter(
        len(users),
        int(sizes.max()),
        sizes.sum(),
        sums.sum(),
        sizes @ sizes,
        sums @ sizes,
        sums @ sums,
    )


def rate_of(observed: Observed) -> Estimate:
    return wilson(sum(y for _, y in observed), len(observed))


def plain_error(observed: Observed) -> float:
    rate = rate_of(observed).value
    return math.sqrt(rate * (1 - rate) / len(observed))


@given(OBSERVED)
def test_the_error_is_that_of_the_residuals_added_up_by_user(observed: Observed) -> None:
    scatter, mean = scatter_of(observed), rate_of(observed).value
    residuals = [
        sum(y - mean for one, y in observed if one == user)
        for user in {user for user, _ in observed}
    ]
    if len(residuals) < 2:
        assert math.isnan(scatter.error)
        return
    squares = sum(one * one for one in residuals) * len(residuals) / (len(residuals) - 1)
    assert scatter.error == pytest.approx(math.sqrt(squares) / len(observed), abs=1e-7)


@settings(deadline=None)  # the first quantile imports scipy
@given(OBSERVED)
def test_an_interval_is_never_narrower_and_stays_between_0_and_1(observed: Observed) -> None:
    before = rate_of(observed)
    after = widened(before, plain_error(observed), scatter_of(observed))
    assert (after.value, after.n) == (before.value, before.n)
    if not math.isnan(after.low):
        assert 0 <= after.low <= before.low <= before.high <= after.high <= 1


def test_where_nobody_asks_twice_nothing_changes() -> None:
    observed = [(user, user % 2) for user in range(30)]
    before = rate_of(observed)
    assert widened(before, plain_error(observed), scatter_of(observed)) == before


def test_one_user_alone_tells_no_interval() -> None:
    observed = [(1, 0), (1, 1), (1, 1)]
    found = widened(rate_of(observed), plain_error(observed), scatter_of(observed))
    assert found.value == pytest.approx(2 / 3)
    assert math.isnan(found.low)
    assert found.reason == "all of one user: how much users differ is not known"


def test_users_who_always_fare_alike_count_as_one_observation_each() -> None:
    observed = [(user, user % 2) for user in range(40) for _ in range(9)]
    found = widened(rate_of(observed), plain_error(observed), scatter_of(observed))
    one_each = wilson(20, 40)
    assert found.high - found.low == pytest.approx(one_each.high - one_each.low, rel=0.1)


def test_where_all_are_right_a_user_counts_as_one_observation() -> None:
    observed = [(user, 1) for user in range(10) for _ in range(20)]
    found = widened(rate_of(observed), plain_error(observed), scatter_of(observed))
    assert (found.low, found.high) == pytest.approx((wilson(10, 10).low, 1.0))
    alone = [(1, 1)] * 200
    assert math.isnan(widened(rate_of(alone), plain_error(alone), scatter_of(alone)).low)
