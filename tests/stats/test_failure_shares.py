from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.stats.contrasts import clustered_mean
from ragdiag.stats.failure_shares import change_of_counts, change_of_rates, failure_share
from ragdiag.stats.intervals import difference_of_rates, newcombe, score_interval, student_quantile

Outcomes = list[bool]


@given(st.lists(st.booleans(), max_size=40), st.lists(st.booleans(), max_size=40))
def test_with_one_request_a_user_it_is_newcombes_to_the_last_digit(
    a: Outcomes, b: Outcomes
) -> None:
    found = change_of_rates(failure_share(a, range(len(a))), failure_share(b, range(len(b))))
    counts = sum(a), len(a), sum(b), len(b)
    assert repr(found) == repr(change_of_counts(*counts))
    assert repr(found.difference) == repr(difference_of_rates(*counts))
    assert (found.n, found.clusters) == (len(b), min(len(a), len(b)))


def test_the_design_effect_is_the_ratio_of_both_variances() -> None:
    generator = np.random.default_rng(1)
    users = generator.integers(0, 50, 400).tolist()
    failed = (generator.random(400) < generator.beta(1, 4, 50)[users]).tolist()
    values = [float(one) for one in failed]
    whole, alone = clustered_mean(values, users), clustered_mean(values, range(400))
    reach = student_quantile(whole.freedom) / student_quantile(399)
    found = failure_share(failed, users)
    assert found.effect == pytest.approx((whole.error / alone.error * reach) ** 2)
    other = failure_share([False] * 20 + [True], range(21))
    change = change_of_rates(other, found).difference
    expected = newcombe(other.estimate(1.0), found.estimate(found.effect))
    assert change == expected
    low, high = score_interval(found.rate, 400 / found.effect)
    assert (found.estimate(found.effect).low, found.estimate(found.effect).high) == (low, high)


def test_users_who_balance_by_chance_promise_nothing() -> None:
    assert failure_share([True, False] * 50, [k // 2 for k in range(100)]).effect == 1.0


def test_what_shows_no_design_effect_takes_the_others() -> None:
    users = [k // 5 for k in range(500)]
    silent, failing = (
        failure_share([False] * 500, users),
        failure_share([k < 30 for k in users], users),
    )
    assert math.isnan(silent.effect)
    assert failing.effect > 4
    expected = newcombe(failing.estimate(failing.effect), silent.estimate(failing.effect))
    assert change_of_rates(failing, silent).difference == expected
    both = change_of_rates(silent, silent).difference
    assert both.high == difference_of_rates(0, 100, 0, 100).high


def test_one_user_tells_nothing_of_others() -> None:
    one = failure_share([True] + [False] * 99, ["u"] * 100)
    assert one.effect == 100.0
    change = change_of_rates(failure_share([False] * 100, range(100)), one).difference
    assert change.high > 0.5


def test_nothing_is_undefined() -> None:
    found = change_of_rates(failure_share([], []), failure_share([True, False, False], "uuv"))
    assert found.difference.reason == "one of the two samples is empty"
    assert (math.isnan(found.a), found.clusters) == (True, 0)
