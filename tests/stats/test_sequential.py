from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.stats.intervals import wilson
from ragdiag.stats.intraclass import correlation_bound, next_failure
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


def ratios_by_owner(
    outcomes: Outcomes, owners: list[str], q: float, p0: float, rho: float, *, wary: bool
) -> list[float]:
    """The likelihood ratio of each outcome, word by word."""
    found = []
    for place, (x, owner) in enumerate(zip(outcomes, owners, strict=True)):
        past = [outcomes[k] for k in range(place) if owners[k] == owner]
        s, m = sum(past), len(past)
        urn = [((1 - rho) * p + rho * s) / (1 - rho + rho * m) for p in (p0, q)]
        low = max(p0, urn[0])
        high = max(low, urn[1]) if wary else max(q, urn[1])
        found.append(high / low if x else (1 - high) / (1 - low))
    return found


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from("uvw")), min_size=1, max_size=25),
    st.sampled_from([0.05, 0.2, 0.4]),
    st.sampled_from([0.01, 0.3, 0.99]),
)
def test_with_users_it_is_the_same_sum_of_ratios_given_their_past(
    asked: list[tuple[int, str]], p0: float, rho: float
) -> None:
    outcomes, owners = [x for x, _ in asked], [owner for _, owner in asked]
    bets = [(m * p0, wary) for m in MULTIPLES if m * p0 < 1 for wary in (False, True)]
    ratios = [ratios_by_owner(outcomes, owners, q, p0, rho, wary=wary) for q, wary in bets]
    averages = [
        sum(math.prod(one[k:end]) for one in ratios for k in range(end)) / len(bets)
        for end in range(1, len(outcomes) + 1)
    ]
    found = watch_rate(outcomes, p0, 1e12, owners, rho)
    assert found.peak == pytest.approx(max(averages))
    assert watch_rate(outcomes, p0, 1e12, owners, 0.0) == watch_rate(outcomes, p0, 1e12)


@given(
    st.integers(0, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.floats(0.001, 0.79),
    st.floats(0, 0.99),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_no_users_of_a_lower_rate_and_correlation_gain_in_the_mean(
    past: tuple[int, int], p0: float, rho: float, shares: tuple[float, float]
) -> None:
    """Whatever they did before: ``shares`` are those of p₀ and ρ that are true."""
    chance = next_failure(shares[0] * p0, shares[1] * rho, *past)
    for q in (multiple * p0 for multiple in MULTIPLES if multiple * p0 < 1):
        for wary in (False, True):
            outcomes = [1] * past[0] + [0] * (past[1] - past[0])
            failed, fine = (
                ratios_by_owner([*outcomes, x], ["u"] * (past[1] + 1), q, p0, rho, wary=wary)[-1]
                for x in (1, 0)
            )
            assert chance * failed + (1 - chance) * fine <= 1 + 1e-9


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
        p0, rho = reference_bound(reference, owners), correlation_bound(reference, owners)
        canary = generator.choice(generator.choice(120, 6, replace=False), 1_000)
        failed = (generator.random(1_000) < rates[canary]).tolist()
        known = canary.tolist() if knows_users else None
        alarms += watch_rate(failed, p0, level_for(1_000, 0.05), known, rho).alarm
    return alarms / runs


def test_a_few_demanding_users_do_not_make_a_version_bad() -> None:
    assert false_rollbacks(knows_users=True) <= 0.05
    assert false_rollbacks(knows_users=False) > 0.12


def sessions(
    generator: np.random.Generator, n: int, length: float, open_now: int, zipf: float, users: int
) -> list[int]:
    """Whose the requests are: some users ask at a time, each for a geometric time."""
    active = np.arange(1, users + 1) ** -zipf
    coming = iter(generator.choice(users, n + open_now, p=active / active.sum()).tolist())
    asking = [next(coming) for _ in range(open_now)]
    found = []
    for seat, ends in zip(
        generator.integers(open_now, size=n).tolist(),
        (generator.random(n) < 1 / length).tolist(),
        strict=True,
    ):
        found.append(asking[seat])
        if ends:
            asking[seat] = next(coming)
    return found


def watched_sessions(
    length: float, open_now: int, correlation: float, *, zipf: float, times: float, runs: int
) -> tuple[float, float]:
    """Share of alarms within 5,000 requests whose rate is ``times`` that of the 2,000 before, and
    the median number of requests until then."""
    generator = np.random.default_rng([int(length), open_now, int(100 * correlation)])
    a, b = 0.25 * (1 / correlation - 1), 0.75 * (1 / correlation - 1)
    delays = []
    for _ in range(runs):
        rates = generator.beta(a, b, 2_000)
        owners = sessions(generator, 7_000, length, open_now, zipf, 2_000)
        failed = generator.random(7_000) < rates[owners] * np.where(
            np.arange(7_000) < 2_000, 1, times
        )
        old, of_old = failed[:2_000].tolist(), owners[:2_000]
        p0, rho = reference_bound(old, of_old), correlation_bound(old, of_old)
        new, level = failed[2_000:].tolist(), level_for(5_000, 0.05)
        found = watch_rate(new, p0, level, owners[2_000:], rho)
        delays.append(found.n if found.alarm else math.inf)
    return float(np.isfinite(delays).mean()), float(np.median(delays))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("length", "open_now", "correlation", "zipf"),
    [(5, 3, 0.2, 0), (20, 1, 0.1, 0), (20, 3, 0.3, 1.1)],
)
def test_sessions_raise_no_more_false_alarms_than_stated(
    length: float, open_now: int, correlation: float, zipf: float
) -> None:
    runs = 60
    alarms, _ = watched_sessions(length, open_now, correlation, zipf=zipf, times=1.0, runs=runs)
    assert alarms <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.slow
def test_a_doubled_rate_is_found_in_sessions_too() -> None:
    alarms, delay = watched_sessions(5, 20, 0.2, zipf=0, times=2.0, runs=40)
    assert alarms >= 0.95
    assert delay < 600


def test_users_who_do_not_differ_cost_nothing() -> None:
    outcomes = (np.random.default_rng(11).random(4_000) < 0.1).tolist()
    alone = reference_bound(outcomes, range(4_000))
    assert alone == pytest.approx(wilson(sum(outcomes), 4_000).high, abs=1e-4)
    shuffled = reference_bound(outcomes, [n % 400 for n in range(4_000)])
    assert alone <= shuffled < alone + 0.01
    assert math.isnan(reference_bound([], []))


@pytest.mark.parametrize(("p0", "level"), [(0.0, 10.0), (0.8, 10.0), (0.1, 0.5), (math.nan, 10.0)])
def test_what_cannot_be_watched_is_refused(p0: float, level: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in \(0, 0.8\)"):
        watch_rate([1], p0, level)


@pytest.mark.parametrize("rho", [-0.1, 1.0, math.nan])
def test_a_correlation_that_cannot_be_is_refused(rho: float) -> None:
    with pytest.raises(ValueError, match="must lie within 0"):
        watch_rate([1], 0.1, 10.0, "u", rho)


def test_nothing_is_no_alarm() -> None:
    found = watch_rate([], 0.1, 100.0)
    assert (found.n, found.peak, found.alarm, found.change) == (0, 0.0, False, None)
