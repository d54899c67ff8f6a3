from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import betabinom

from ragdiag.stats import intraclass
from ragdiag.stats.intraclass import HIGHEST_CORRELATION, correlation_bound


def test_the_likelihood_is_the_beta_binomial_at_its_best_rate() -> None:
    """But for what is the same at every rate and correlation: in how many orders they came."""
    failed, sizes = [0, 1, 3, 0, 2], [1, 4, 3, 6, 6]
    bad, fine = (
        intraclass._exceeding(one)
        for one in (failed, [m - s for s, m in zip(failed, sizes, strict=True)])
    )
    found = intraclass._profile(bad, fine, intraclass._exceeding(sizes))
    orders = sum(math.log(math.comb(m, s)) for s, m in zip(failed, sizes, strict=True))
    for at in (20, 80, 115):
        rest = 1 / intraclass.GRID[at] - 1
        best = max(
            betabinom.logpmf(failed, sizes, p * rest, (1 - p) * rest).sum()
            for p in np.linspace(0.01, 0.99, 981)
        )
        assert found[at] == pytest.approx(best - orders, abs=1e-3)


@pytest.mark.parametrize(("rate", "correlation"), [(0.25, 0.1), (0.05, 0.2), (0.01, 0.3)])
def test_the_bound_is_seldom_below_the_truth(rate: float, correlation: float) -> None:
    generator = np.random.default_rng(3)
    rest = 1 / correlation - 1
    below = 0
    for _ in range(300):
        owners = np.repeat(np.arange(400), generator.geometric(0.2, 400))
        rates = generator.beta(rate * rest, (1 - rate) * rest, 400)
        failed = generator.random(len(owners)) < rates[owners]
        below += correlation_bound(failed.tolist(), owners.tolist()) < correlation
    assert below / 300 <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / 300)


def test_users_who_do_not_differ_are_seen_to_be_alike() -> None:
    outcomes = (np.random.default_rng(4).random(4_000) < 0.2).tolist()
    assert 0 < correlation_bound(outcomes, [n % 400 for n in range(4_000)]) < 0.03


@pytest.mark.parametrize("outcomes", [[0] * 8, [1] * 8])
def test_where_nothing_can_be_learnt_anything_may_be(outcomes: list[int]) -> None:
    assert correlation_bound(outcomes, "uuvvwwxx") == HIGHEST_CORRELATION
    assert correlation_bound([0, 1, *outcomes], range(10)) == HIGHEST_CORRELATION
    assert correlation_bound([], []) == HIGHEST_CORRELATION
