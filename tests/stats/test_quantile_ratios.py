from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.stats import quantile_ratios
from ragdiag.stats.quantile_ratios import _Values, independent_quantiles, paired_quantiles


@given(
    st.lists(st.tuples(st.integers(1, 20), st.sampled_from("uvwxyz")), min_size=1, max_size=40),
    st.sampled_from([0.05, 0.5, 0.9, 0.95, 0.99]),
    st.integers(0, 5),
)
def test_a_draw_is_the_quantile_of_its_clusters_values(
    pairs: list[tuple[int, str]], q: float, seed: int
) -> None:
    values, names = [float(value) for value, _ in pairs], [name for _, name in pairs]
    order = list(dict.fromkeys(names))
    times = np.random.default_rng(seed).integers(0, 4, size=len(order))
    times[0] += 1
    repeated = sorted(
        value
        for value, name in zip(values, names, strict=True)
        for _ in range(times[order.index(name)])
    )
    expected = repeated[max(1, math.ceil(len(repeated) * q - 1e-9)) - 1]
    assert _Values.of(values, names).quantiles(times[None, :], q).tolist() == [expected]


def test_draws_keep_pairs_together() -> None:
    a = np.random.default_rng(0).lognormal(4, 0.5, 300)
    paired = paired_quantiles(a.tolist(), (1.2 * a).tolist(), 0.95)
    assert paired.drawn_ratios == pytest.approx(np.full(1_999, 1.2))
    apart = independent_quantiles(a.tolist(), (1.2 * a).tolist(), 0.95)
    assert apart.ratio == pytest.approx(1.2)
    assert apart.drawn_ratios.std() > 0.05


def test_the_same_seed_gives_the_same_draws_whatever_the_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = np.random.default_rng(1).lognormal(4, 0.5, (2, 80)).tolist()
    whole = paired_quantiles(a, b, 0.95, seed=3)
    monkeypatch.setattr(quantile_ratios, "BLOCK", 1_000)
    parts = paired_quantiles(a, b, 0.95, seed=3)
    assert whole.drawn_ratios.tolist() == parts.drawn_ratios.tolist()
    assert whole.drawn_ratios.tolist() != paired_quantiles(a, b, 0.95).drawn_ratios.tolist()


def test_users_who_ask_often_count_as_one() -> None:
    a = np.random.default_rng(2).lognormal(4, 0.5, 100).tolist()
    users = [n // 10 for n in range(100)]
    alone = independent_quantiles(a, a, 0.5)
    grouped = independent_quantiles(sorted(a), sorted(a), 0.5, clusters_a=users, clusters_b=users)
    assert (alone.clusters, grouped.clusters) == (100, 10)
    assert grouped.drawn_ratios.std() > 2 * alone.drawn_ratios.std()


def test_undefined_values_are_left_out() -> None:
    found = paired_quantiles([10.0, math.nan, 30.0], [20.0, 40.0, 60.0], 0.5)
    assert (found.n, found.ratio) == (2, 2.0)
    for nothing in (paired_quantiles([], [], 0.5), independent_quantiles([1.0], [], 0.5)):
        assert nothing.n == 0
        assert math.isnan(nothing.a)


@pytest.mark.parametrize("n", [100, 400])
def test_the_bounds_miss_the_truth_about_as_often_as_they_say(n: int) -> None:
    generator = np.random.default_rng(n)
    missed = np.zeros(2)
    runs = 250
    for run in range(runs):
        common = generator.normal(0, 0.4, n)
        a, b = (np.exp(4 + common + generator.normal(0, 0.3, n)) for _ in range(2))
        drawn = paired_quantiles(a.tolist(), b.tolist(), 0.95, seed=run).drawn_ratios
        low, high = np.quantile(drawn, [0.025, 0.95])
        missed += low > 1, high < 1
    # 2.5 % and 5 %, and what chance adds to 250 runs.
    assert missed[0] / runs < 0.055
    assert missed[1] / runs < 0.09
