"""Stage quantiles and their standing against a target."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from ragdiag.drift.latency import cache_effects, stage_quantiles, standing, weekly_quantiles
from ragdiag.metrics.latency import quantile_estimate
from ragdiag.records import Estimate, Request
from ragdiag.stats.intervals import wilson
from ragdiag.store import latency_trends
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.results import load_requests
from ragdiag.store.spool import SpoolWriter

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


@pytest.mark.parametrize("exact_rows", [latency_trends.EXACT_ROWS, 0], ids=["values", "buckets"])
def test_several_stages_are_what_each_is_alone(
    toy_lake: Lake, exact_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency_trends, "EXACT_ROWS", exact_rows)
    stages = ("total", "lexical")
    together = latency_trends.weekly_latency(toy_lake, PRODUCTION, stages)
    alone = [
        row
        for stage in stages
        for row in latency_trends.weekly_latency(toy_lake, PRODUCTION, (stage,))
    ]
    assert together == sorted(alone, key=lambda row: (row["week"], row["segment"], row["stage"]))
    assert {row["stage"] for row in together} == set(stages)
    assert {row["buckets"] is None for row in together} == {exact_rows > 0}


def test_an_unknown_stage_is_a_defect_not_sql(toy_lake: Lake) -> None:
    with pytest.raises(ValueError, match="no such stage"):
        weekly_quantiles(toy_lake, PRODUCTION, "total_ms) --", "p50")


def test_a_target_is_decided_only_by_the_whole_interval() -> None:
    assert standing(Estimate(250, 220, 280, 100), 200) == "over"
    assert standing(Estimate(150, math.nan, math.nan, 5), 200) == "unknown"


WHOLE = (("v1", 50, 200), ("v2", 0, 200), ("v3", 200, 200))


@pytest.fixture
def cached_lake(lake: Lake) -> Lake:
    """Version v1: 200 requests of 1 … 200 ms, of which the cache answered the 50 fastest; v2 has
    no cache, and all of v3 came from it; of v4's 100 hits and 100 others, only every second hit
    was logged."""
    at = datetime(2026, 1, 5, 9, tzinfo=UTC)
    with SpoolWriter(lake.workspace) as spool:
        for version, hits, logged in (*WHOLE, ("v4", 50, 150)):
            for n in range(1, logged + 1):
                spool.write(
                    Request(
                        f"{version}-{n:03d}",
                        at,
                        version,
                        "production",
                        "q",
                        cache_hit=n <= hits,
                        latency_ms={"total": float(n)},
                        keep_probability=0.5 if version == "v4" and n <= hits else 1.0,
                    )
                )
    ingest(lake, lake.workspace)
    return lake


@pytest.mark.parametrize("exact_rows", [latency_trends.EXACT_ROWS, 0], ids=["values", "buckets"])
def test_the_cache_is_judged_by_all_requests_and_by_those_it_did_not_answer(
    cached_lake: Lake, exact_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency_trends, "EXACT_ROWS", exact_rows)
    found = {row.segment: row for row in cache_effects(cached_lake, PRODUCTION)}
    assert found.keys() == {"v1", "v3", "v4"}
    assert found["v4"].hit_rate.value == pytest.approx(0.5)
    assert found["v1"].hit_rate == wilson(50, 200)
    whole = quantile_estimate([float(n) for n in range(1, 201)], 0.95)
    anew = quantile_estimate([float(n) for n in range(51, 201)], 0.95)
    for have, want in ((found["v1"].all, whole), (found["v1"].anew, anew)):
        assert have.n == want.n
        assert have.value == pytest.approx(want.value, rel=0 if exact_rows else 0.01)
    assert found["v3"].hit_rate == wilson(200, 200)
    assert (found["v3"].anew.n, math.isnan(found["v3"].anew.value)) == (0, True)
