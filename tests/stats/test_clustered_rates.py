from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ragdiag.stats.bootstrap import bounded_mean
from ragdiag.stats.clustered_rates import clustered_rate, clustered_score
from ragdiag.stats.contrasts import clustered_mean
from ragdiag.stats.intervals import Z95, score_interval, wilson


def plain_rate(values: list[float], owners: list[int]) -> tuple[float, float]:
    """By its definition, with half a cluster of mean size more at either end given as values: every
    value counts 2 G times, so that half a mean cluster is a whole number of values."""
    clusters = len(set(owners))
    wide = [value for value in values for _ in range(2 * clusters)]
    whose = [str(owner) for owner in owners for _ in range(2 * clusters)]
    wide += [0.0] * len(values) + [1.0] * len(values)
    whose += ["none"] * len(values) + ["all"] * len(values)
    found, n = clustered_mean(wide, whose), len(values)
    alone = found.value * (1 - found.value) / (n + n / clusters)
    quantile = stats.t.ppf(0.975, clustered_mean(values, owners).freedom)
    trials = n * min(1.0, alone / found.error**2) * (Z95 / quantile) ** 2
    return score_interval(sum(values) / n, trials)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=4, max_size=60))
def test_the_interval_is_the_plain_definition(rows: list[tuple[bool, int]]) -> None:
    values, owners = [float(right) for right, _ in rows], [owner for _, owner in rows]
    found = clustered_rate(values, owners)
    assert found.value == sum(values) / len(values)
    if len(set(owners)) == 1:
        assert found.reason == "all belong together: no interval"
    elif len(set(owners)) == len(values):
        assert found == wilson(int(sum(values)), len(values))
    elif len(set(values)) == 1:
        assert (found.low, found.high) == score_interval(values[0], len(set(owners)))
    else:
        assert (found.low, found.high) == pytest.approx(plain_rate(values, owners), abs=1e-9)


def test_single_questions_are_what_they_were_to_the_last_digit() -> None:
    values = [1.0, 0.0, math.nan, 1.0]
    assert clustered_rate(values, "abcd") == wilson(2, 3)
    assert clustered_score([0.2, math.nan, 1.0], "abb") == bounded_mean([0.2, math.nan, 1.0], 0, 1)
    assert clustered_rate([], []).reason == "no rows"


def test_questions_about_one_document_make_the_interval_wider() -> None:
    values = np.repeat([1.0, 1.0, 1.0, 0.0, 0.0] * 4, 10).tolist()
    owners = np.arange(20).repeat(10).tolist()
    joined, alone = clustered_rate(values, owners), wilson(120, 200)
    assert joined.value == alone.value
    assert joined.high - joined.low > 2.5 * (alone.high - alone.low)
