"""Costs of a million queries, against the requests they are of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ragdiag.drift.costs import spending
from ragdiag.records import Request
from ragdiag.stats.intervals import Sums, difference_of_means, mean_estimate
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.spool import SpoolWriter

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
PRODUCTION = Filters(traffic="production")
STAGES = ("embed", "lexical", "dense", "fusion", "packing", "generation")


def logged(lake: Lake, requests: Sequence[Request]) -> Lake:
    with SpoolWriter(lake.workspace) as spool:
        spool.write_all(requests)
    ingest(lake, lake.workspace)
    return lake


def asked(number: int, version: str = "v1", **changes: object) -> Request:
    """Ten milliseconds a stage and as long in line, unless ``changes`` say otherwise."""
    fields: dict[str, object] = {
        "latency_ms": {**dict.fromkeys(STAGES, 10.0), "total": 120.0},
        **changes,
    }
    at = MONDAY + timedelta(seconds=number)
    return Request(f"{version}-{number:03}", at, version, "production", "q", **fields)  # type: ignore[arg-type]


def seconds_of(request: Request, *, paid: bool) -> float:
    """What the machine worked at a request: the definition."""
    ms = dict(request.latency_ms)
    total = ms.pop("total")
    if request.cache_hit:
        return total / 1e3
    return sum(ms[stage] for stage in ms if not (paid and stage == "generation")) / 1e3


@pytest.fixture
def requests() -> list[Request]:
    """Of v1 with prices, a third of it from the cache; of v2 without."""
    chance = np.random.default_rng(3)
    found = []
    for n in range(60):
        times = dict(zip(STAGES, chance.uniform(1, 50, len(STAGES)), strict=True))
        hit = n % 3 == 0
        latency = {"total": 5.0} if hit else {**times, "total": 20 + sum(times.values())}
        cost = 0.0 if hit else float(chance.uniform(0.001, 0.004))
        found.append(asked(n, "v1", latency_ms=latency, cache_hit=hit, cost_usd=cost))
        found.append(asked(n, "v2", latency_ms={**times, "total": 20 + sum(times.values())}))
    return found


def test_bill_hours_and_both_are_means_over_the_requests(
    lake: Lake, requests: list[Request]
) -> None:
    paid, free = spending(logged(lake, requests), PRODUCTION, usd_per_hour=1.8)
    of = {name: [r for r in requests if r.version_id == name] for name in ("v1", "v2")}
    bills = [1e6 * (r.cost_usd or 0.0) for r in of["v1"]]
    hours = {
        name: [1e6 / 3600 * seconds_of(r, paid=name == "v1") for r in rows]
        for name, rows in of.items()
    }
    both = [bill + 1.8 * spent for bill, spent in zip(bills, hours["v1"], strict=True)]
    for amount, values in (
        (paid.tokens, bills),
        (paid.hours, hours["v1"]),
        (paid.together, both),
        (free.hours, hours["v2"]),
        (free.together, [1.8 * spent for spent in hours["v2"]]),
    ):
        found, plain = amount.estimate(), mean_estimate(Sums.of(values))
        assert (found.value, found.low, found.high) == pytest.approx(
            (plain.value, plain.low, plain.high)
        )
        assert found.n == 60
    assert free.tokens.estimate().reason == "no request has a price"
    change = free.hours.since(paid.hours)
    plain = difference_of_means(*(Sums.of(hours[name]) for name in ("v1", "v2")))
    assert (change.value, change.low) == pytest.approx((plain.value, plain.low))


def test_without_a_price_of_the_machine_only_its_hours_are_told(
    lake: Lake, requests: list[Request]
) -> None:
    paid, free = spending(logged(lake, requests), PRODUCTION)
    assert paid.hours.is_known
    assert not paid.machine.is_known
    assert paid.together.estimate() == paid.tokens.estimate()
    assert not free.together.is_known
    assert math.isnan(free.together.estimate().value)


def test_a_sampled_request_stands_for_all_that_it_was_drawn_from(lake: Lake) -> None:
    kept = [asked(n, cost_usd=0.01) for n in range(10)]
    drawn = [asked(n, cost_usd=0.001, keep_probability=0.1) for n in range(10, 20)]
    (found,) = spending(logged(lake, kept + drawn), PRODUCTION)
    estimate = found.tokens.estimate()
    assert estimate.value == pytest.approx(1e6 * (10 * 0.01 + 100 * 0.001) / 110)
    assert estimate.low < estimate.value < estimate.high


def test_one_request_has_no_interval_and_an_untimed_one_no_hours(lake: Lake) -> None:
    (found,) = spending(logged(lake, [asked(1, cost_usd=0.002, latency_ms={})]), PRODUCTION, 1.0)
    assert found.tokens.estimate().value == pytest.approx(2000)
    assert math.isnan(found.tokens.estimate().low)
    for untimed in (found.hours, found.machine, found.together):
        assert untimed.estimate().reason == "no request was timed"


def test_a_wait_for_an_answer_that_is_paid_for_is_no_work_even_where_none_came(lake: Lake) -> None:
    answered = [asked(n, cost_usd=0.001) for n in range(8)]
    waited = {**dict.fromkeys(STAGES, 10.0), "generation": 60_000.0, "total": 60_050.0}
    failed = [asked(n, status="error", error="timeout", latency_ms=waited) for n in range(8, 10)]
    (found,) = spending(logged(lake, answered + failed), PRODUCTION, 3.6)
    hours = found.hours.estimate()
    assert (hours.value, hours.n) == (pytest.approx(1e6 * 0.05 / 3600), 10)
    assert found.together.estimate().n == 8


@pytest.mark.parametrize(
    ("cost", "latency", "seconds"),
    [
        (None, {"total": 850.0}, 0.85),
        (0.001, {"total": 850.0}, None),
        (None, {"dense": 20.0, "generation": 800.0, "total": 1500.0}, 0.82),
        (0.001, {"dense": 20.0, "generation": 800.0, "total": 1500.0}, 0.02),
        (0.001, {"generation": 800.0, "total": 1500.0}, None),
    ],
)
def test_what_was_timed_decides_what_is_known(
    lake: Lake, cost: float | None, latency: dict[str, float], seconds: float | None
) -> None:
    (found,) = spending(logged(lake, [asked(1, cost_usd=cost, latency_ms=latency)]), PRODUCTION)
    if seconds is None:
        assert not found.hours.is_known
    else:
        assert found.hours.estimate().value == pytest.approx(1e6 * seconds / 3600)


def test_an_answer_from_the_cache_costs_nothing_where_others_are_paid_for(lake: Lake) -> None:
    paid = [asked(n, cost_usd=0.001) for n in range(5)]
    hits = [asked(n, cache_hit=True, latency_ms={"total": 3.0}) for n in range(5, 10)]
    (found,) = spending(logged(lake, paid + hits), PRODUCTION)
    assert found.tokens.estimate().value == pytest.approx(500)
    assert found.tokens.estimate().n == 10


def test_what_never_was_negative_has_no_negative_bound(lake: Lake) -> None:
    few = [asked(n, cost_usd=cost) for n, cost in enumerate((0.0, 0.0, 0.01))]
    (found,) = spending(logged(lake, few), PRODUCTION)
    assert found.tokens.estimate().low == 0.0
