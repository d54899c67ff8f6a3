"""Stage quantiles and their standing against a target."""

from __future__ import annotations

import math

import pytest

from ragdiag.drift.latency import stage_quantiles, standing, weekly_quantiles
from ragdiag.metrics.latency import quantile_estimate
from ragdiag.records import Estimate
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.results import load_requests

PRODUCTION = Filters(traffic="production")


def test_quantiles_equal_those_of_the_requests(toy_lake: Lake) -> None:
    requests = load_requests(toy_lake, traffic="production")
    for row in stage_quantiles(toy_lake, PRODUCTION):
        values = [r.latency_ms[row.stage] for r in requests if row.stage in r.latency_ms]
        assert row.quantiles["p95"] == quantile_estimate(values, 0.95)


def test_stages_come_in_the_order_of_a_request(toy_lake: Lake) -> None:
    stages = [row.stage for row in stage_quantiles(toy_lake, PRODUCTION)]
    assert stages == ["embed", "lexical", "dense", "fusion", "generation", "total"]


def test_weeks_are_kept_apart(toy_lake: Lake) -> None:
    by_version = weekly_quantiles(toy_lake, PRODUCTION, "total", "p50")
    assert sorted(len(points) for points in by_version.values()) == [4, 8]
    assert all(found.n == 24 for points in by_version.values() for _, found in points)


def test_an_unknown_stage_is_a_defect_not_sql(toy_lake: Lake) -> None:
    with pytest.raises(ValueError, match="no such stage"):
        weekly_quantiles(toy_lake, PRODUCTION, "total_ms) --", "p50")


def test_a_target_is_decided_only_by_the_whole_interval() -> None:
    assert standing(Estimate(250, 220, 280, 100), 200) == "over"
    assert standing(Estimate(150, math.nan, math.nan, 5), 200) == "unknown"
