from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.stats.intervals import wilson
from ragdiag.stats.sequential import MULTIPLES, level_for, reference_bound, watch_rate

Outcomes = list[int]


def ratio(outcomes: Outcomes, q: float, p0: float) -> float:
    return math.prod(q / p0 if x else (1 - q) / (1 - p0) for x in outcomes)


@given(st.lists(st.integers(0, 1), max_size=25), st.sampled_from([0.05, 0.2, 0.4, 0.7]))
def test_the_statistic_is_the_sum_over_all_starts(outcomes: Outcomes, p0: float) -> None:
    rates = [multiple * p0 for multiple in MULTIPLES if multiple * p0 < 1]
    averages = [
        sum(ratio(outcomes[k:end], q, p0) for q in rates for k in range(end)) / len(rates)
        for end in range(1, len(outcomes) + 1)
    ]
    found = watch_rate(outcomes, p0, level=1e12)
    assert found.peak == pytest.approx(max(averages, default=0.0))
    assert (found.n, found.failures, found.alarm) == (len(outcomes), sum(outcomes), False)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=25), st.sampled_from([0.05, 0.2]))
def test_the_change_is_the_start_of_the_largest_likelihood_ratio(
    outcomes: Outcomes, p0: float
) -> None:
    found = watch_rate([*outcomes, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], p0, level=100.0)
    assert found.alarm
    assert found.change is not None
    read = [*outcomes, *[1] * 11][: found.n]
    largest = max(
        ratio(read[k:], multiple * p0, p0) for multiple in MULTIPLES for k in range(found.n)
    )
    told = max(ratio(read[found.change :], multiple * p0, p0) for multiple in MULTIPLES)
    assert told == pytest.approx(largest)


@given(st.floats(0.001, 0.79), st.floats(0, 1))
def test_no_rate_below_the_reference_gains_in_the_mean(p0: float, share: float) -> None:
    p = share * p0
    for multiple in MULTIPLES:
        if (q := multiple * p0) < 1:
            assert p * q / p0 + (1 - p) * (1 - q) / (1 - p0) <= 1 + 1e-12


def time_to_alarm(generator: np.random.Generator, p: float, p0: float, level: float) -> int:
    outcomes = (x for _ in iter(int, 1) for x in (generator.random(1_000) < p).tolist())
    return watch_rate(outcomes, p0, level).n


def check_mean_time(p0: float, level: float, runs: int) -> None:
    generator = np.random.default_rng(7)
    times = np.array([time_to_alarm(generator, p0, p0, level) for _ in range(runs)])
    error = float(times.std(ddof=1)) / math.sqrt(runs)
    assert times.mean() - 3 * error > 0.9 * level
    for n in (level / 10, level / 2):
        by_chance = 3 * math.sqrt(n / level / runs)
        assert float(np.mean(times <= n)) <= n / level + by_chance


@pytest.mark.parametrize("p0", [0.02, 0.1, 0.4])
def test_false_alarms_are_as_rare_as_stated(p0: float) -> None:
    check_mean_time(p0, level=100.0, runs=300)


@pytest.mark.slow
@pytest.mark.parametrize("p0", [0.05, 0.3])
def test_false_alarms_are_as_rare_as_stated_at_a_higher_level(p0: float) -> None:
    check_mean_time(p0, level=2_000.0, runs=200)


def test_a_doubled_rate_is_found_soon_and_dated() -> None:
    generator = np.random.default_rng(8)
    delays, misdated = [], []
    for _ in range(40):
        before = (generator.random(400) < 0.1).tolist()
        after = (generator.random(3_000) < 0.2).tolist()
        found = watch_rate([*before, *after], p0=0.12, level=level_for(1_000, 0.05))
        assert found.alarm
        delays.append(found.n - 400)
        misdated.append(abs((found.change or 0) - 400))
    assert float(np.median(delays)) < 400
    assert float(np.median(misdated)) < 60


def test_a_reference_is_an_upper_bound() -> None:
    generator = np.random.default_rng(9)
    below = 0
    for _ in range(400):
        failures = int((generator.random(300) < 0.08).sum())
        below += wilson(failures, 300).high < 0.08
    assert below / 400 < 0.05


def false_rollbacks(*, knows_users: bool, runs: int = 100) -> float:
    """How often a canary of the same version alarms, for 120 users of whom some are harder to
    please than others and one in twenty meets it."""
    generator = np.random.default_rng(10)
    alarms = 0
    for _ in range(runs):
        rates = generator.beta(3.0, 7.0, 120)
        users = generator.integers(0, 120, 2_000)
        reference = (generator.random(2_000) < rates[users]).tolist()
        owners = users.tolist() if knows_users else range(2_000)
        p0 = reference_bound(reference, owners, share=0.05)
        canary = generator.choice(generator.choice(120, 6, replace=False), 1_000)
        failed = (generator.random(1_000) < rates[canary]).tolist()
        alarms += watch_rate(failed, p0, level_for(1_000, 0.05)).alarm
    return alarms / runs


def test_a_few_demanding_users_do_not_make_a_version_bad() -> None:
    assert false_rollbacks(knows_users=True) <= 0.05
    assert false_rollbacks(knows_users=False) > 0.12


def test_users_who_do_not_differ_cost_nothing() -> None:
    outcomes = (np.random.default_rng(11).random(4_000) < 0.1).tolist()
    alone = reference_bound(outcomes, range(4_000))
    assert alone == pytest.approx(wilson(sum(outcomes), 4_000).high, abs=1e-4)
    shuffled = reference_bound(outcomes, [n % 400 for n in range(4_000)], share=0.05)
    assert alone <= shuffled < alone + 0.03
    assert math.isnan(reference_bound([], []))


@pytest.mark.parametrize(("p0", "level"), [(0.0, 10.0), (0.8, 10.0), (0.1, 0.5), (math.nan, 10.0)])
def test_what_cannot_be_watched_is_refused(p0: float, level: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in \(0, 0.8\)"):
        watch_rate([1], p0, level)


def test_nothing_is_no_alarm() -> None:
    found = watch_rate([], 0.1, 100.0)
    assert (found.n, found.peak, found.alarm, found.change) == (0, 0.0, False, None)
