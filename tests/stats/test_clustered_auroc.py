"""The area under the curve by clusters: DeLong's where each stands alone, else Obuchowski's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.stats.agreement import auroc
from ragdiag.stats.clustered_auroc import clustered_area, clustered_auroc

Rows = list[tuple[int, int, int]]
ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 6)), min_size=4, max_size=30
)


def delong_error(rows: Rows) -> float:
    """The textbook's: the variances of both labels' shares of the other."""
    ones, zeros = ([s for s, y, _ in rows if y == label] for label in (1, 0))
    wins = np.array([[(o > z) + 0.5 * (o == z) for z in zeros] for o in ones], dtype=float)
    return math.sqrt(sum(wins.mean(axis=1 - at).var(ddof=1) / wins.shape[at] for at in (0, 1)))


def plain_error(rows: Rows, area: float) -> float:
    """Obuchowski's sums, pair by pair."""
    ones = [(s, g) for s, y, g in rows if y]
    zeros = [(s, g) for s, y, g in rows if not y]

    def wins(one: int, zero: int) -> float:
        return 1.0 if one > zero else 0.5 if one == zero else 0.0

    groups = sorted({g for _, _, g in rows})
    x, y = dict.fromkeys(groups, 0.0), dict.fromkeys(groups, 0.0)
    for s, g in ones:
        x[g] += (sum(wins(s, z) for z, _ in zeros) / len(zeros) - area) / len(ones)
    for s, g in zeros:
        y[g] += (sum(wins(o, s) for o, _ in ones) / len(ones) - area) / len(zeros)
    of_ones, of_zeros, of_all = len({g for _, g in ones}), len({g for _, g in zeros}), len(groups)
    error = (
        of_ones / (of_ones - 1) * sum(v**2 for v in x.values())
        + of_zeros / (of_zeros - 1) * sum(v**2 for v in y.values())
        + 2 * of_all / (of_all - 1) * sum(x[g] * y[g] for g in groups)
    )
    return math.sqrt(max(error, 0.0))


@settings(deadline=None)
@given(ROWS)
def test_where_each_stands_alone_it_is_delong(rows: Rows) -> None:
    scores, labels = [float(s) for s, _, _ in rows], [y for _, y, _ in rows]
    owners = range(len(rows))
    alone = auroc(scores, labels)
    assert clustered_auroc(scores, labels, owners).to_json() == alone.to_json()
    if min(sum(labels), len(labels) - sum(labels)) > 1:
        found = clustered_area(scores, labels, owners)
        assert found.value == pytest.approx(alone.value, abs=1e-15)
        assert found.error == pytest.approx(delong_error(rows), abs=1e-15)


@settings(deadline=None)
@given(ROWS)
def test_its_error_is_that_of_the_plain_definition(rows: Rows) -> None:
    scores, labels = [float(s) for s, _, _ in rows], [y for _, y, _ in rows]
    clusters = [{g for _, y, g in rows if y == label} for label in (0, 1)]
    if not all(clusters):
        return
    found = clustered_area(scores, labels, [g for _, _, g in rows])
    assert math.isnan(found.error) == (min(map(len, clusters)) < 2)
    if not math.isnan(found.error):
        assert found.error**2 == pytest.approx(plain_error(rows, found.value) ** 2, abs=1e-12)


def test_what_is_repeated_says_no_more_than_once() -> None:
    chance = np.random.default_rng(3)
    labels = (np.arange(60) % 2).tolist()
    scores = (chance.normal(size=60) + labels).tolist()
    once = auroc(scores, labels)
    found = clustered_auroc(scores * 10, labels * 10, list(range(60)) * 10)
    assert found.value == pytest.approx(once.value)
    assert found.high - found.low == pytest.approx(once.high - once.low, rel=0.05)
    assert auroc(scores * 10, labels * 10).low > found.low + 0.05


def test_what_has_no_interval_says_why() -> None:
    assert clustered_auroc([0.1, 0.2, 0.3], [1, 1, 1], "aab").reason == "one label only"
    assert (
        clustered_auroc([0.1, 0.2, 0.9], [0, 0, 1], "aab").reason
        == auroc([0.1, 0.2, 0.9], [0, 0, 1]).reason
    )
    alike = clustered_auroc([1, 3, 1, 3, 2, 2, 2], [1, 1, 1, 1, 0, 0, 0], "aabbcde")
    assert (alike.value, alike.reason) == (0.5, "no spread, so no interval")
    assert math.isnan(alike.low)


def test_one_cluster_that_holds_nearly_all_leaves_everything_open() -> None:
    scores = [1.0, 2.0, 3.0] * 200 + [2.0, 1.5]
    found = clustered_auroc(scores, [1, 0, 1] * 200 + [0, 1], [0] * 600 + [1, 1])
    assert (found.low, found.high) == (0.0, 1.0)
