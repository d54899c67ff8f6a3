"""The cluster bootstrap beside its plain definition, and how often it covers the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ragdiag.records import Estimate
from ragdiag.stats.bootstrap import expansion
from ragdiag.stats.cluster_bootstrap import bounded_cluster_mean, cluster_mean
from ragdiag.stats.contrasts import clustered_mean
from ragdiag.stats.intervals import Sums, bounded_mean_estimate, wilson


def test_it_is_the_plain_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    values, clusters = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0], list("aabbbcc")
    chance = np.random.default_rng(5)
    names = sorted(set(clusters))
    drawn = []
    for _ in range(20_000):
        sample = [
            value
            for name in chance.choice(names, len(names))
            for value, cluster in zip(values, clusters, strict=True)
            if cluster == name
        ]
        drawn.append(sum(sample) / len(sample))
    mean = sum(values) / len(values)
    low, high = (mean + expansion(3) * (q - mean) for q in np.quantile(drawn, [0.025, 0.975]))
    monkeypatch.setattr("ragdiag.stats.cluster_bootstrap.LEAST_DRAWN", 2)
    found = cluster_mean(values, clusters)
    assert found.value == pytest.approx(mean)
    assert (found.low, found.high) == (pytest.approx(low, abs=0.05), pytest.approx(high, abs=0.05))


def test_the_interval_covers_the_truth_where_values_hang_together() -> None:
    """40 clusters of 5 values, half of whose variance is between clusters; truth 0. An interval
    that takes the values as independent covers about 73 %."""
    chance = np.random.default_rng(11)
    clusters = [c for c in range(40) for _ in range(5)]
    covered = 0
    for _ in range(200):
        values = np.repeat(chance.normal(size=40), 5) + chance.normal(size=200)
        found = cluster_mean(values.tolist(), clusters)
        covered += found.low <= 0 <= found.high
    assert covered / 200 >= 0.91


def test_one_cluster_or_no_value_has_no_interval() -> None:
    assert cluster_mean([math.nan], ["a"]).reason == "no values"
    assert math.isnan(cluster_mean([1.0, 0.0], ["a", "a"]).low)


def test_clusters_of_one_mean_have_the_interval_of_what_was_not_seen() -> None:
    values, clusters = [1.0, 0.0, 1.0, 0.0], list("aabb")
    assert math.isnan(cluster_mean(values, clusters).low)
    assert math.isnan(cluster_mean([0.1 + 0.2, 0.3], ["a", "b"]).low)  # only rounding is left
    found = bounded_cluster_mean(values, clusters, -1, 1)
    unseen = wilson(0, 2).high
    assert (found.low, found.high) == (0.5 - unseen * 1.5, 0.5 + unseen * 0.5)
    assert bounded_cluster_mean([0.0] * 3, "abc", 0, 1) == wilson(0, 3)
    assert math.isnan(bounded_cluster_mean([1.0, math.nan], ["a", "b"], 0, 1).low)
    spread = [1.0, 0.0, 0.0, 0.0]
    found, wide = (one(spread, clusters) for one in (_within, cluster_mean))
    assert (found.low, found.high) == (0, 1)
    assert wide.low < 0 < 1 < wide.high


def test_of_single_values_that_nearly_all_agree_it_is_as_wide_as_students_with_ends_added() -> None:
    values = [1.0] * 47 + [0.0] * 3
    drawn = cluster_mean(values, range(50))
    student = bounded_mean_estimate(Sums.of(values), 0, 1)
    found = bounded_cluster_mean(values, range(50), 0, 1)
    assert student.low < drawn.low
    assert found.low == pytest.approx(student.low)
    assert found.high == min(max(drawn.high, student.high), 1)


def test_below_ten_clusters_the_interval_is_students() -> None:
    values, clusters = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0], list("aabbbcc")
    found = clustered_mean(values, clusters).estimate(7)
    assert cluster_mean(values, clusters) == found


def test_of_many_clusters_nothing_is_drawn() -> None:
    values = [1.0] * 90 + [0.0] * 10
    assert cluster_mean(values, range(100)) == clustered_mean(values, range(100)).estimate(100)
    student = bounded_mean_estimate(Sums.of(values), 0, 1)
    found = bounded_cluster_mean(values, range(100), 0, 1)
    assert (found.low, found.high) == (pytest.approx(student.low), pytest.approx(0.96, abs=0.01))
    assert cluster_mean([1.0] * 100, range(100)).reason is not None


def _within(values: list[float], clusters: list[str]) -> Estimate:
    return bounded_cluster_mean(values, clusters, 0, 1)
