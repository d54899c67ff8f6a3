"""The checklist's p95, and its cost: a million queries, what has no price, and the lever that adds
most."""

from __future__ import annotations

import pytest

from ragdiag.diagnosis.levers import Lever
from ragdiag.drift.costs import NOTHING, Amount, Spending
from ragdiag.records import Estimate, Weighed
from ragdiag.stats.weighted import WeightedSums
from ragdiag.workflows.diagnosing.checklist import Check, checklist
from tests.answered import OLD, answer

NONE = Amount(NOTHING, 1e6, "no price")
KNOWN = Amount(WeightedSums(Weighed.of(4), Weighed.of(8), Weighed.of(20)), 1e6, "")


def lever(name: str, ms: float, usd: float | None = None) -> Lever:
    gain, slower = Estimate(0.1, 0.0, 0.2, 40), Estimate(ms, ms - 1, ms + 1, 40)
    dearer = Estimate.undefined("no price") if usd is None else Estimate(usd, usd - 1, usd + 1, 40)
    return Lever(name, (), "measured", gain, 15.0, "", slower=slower, dearer=dearer)


def cost(spent: Spending | None, *levers: Lever) -> Check:
    found = checklist([], {}, needed_to_pass=None, slo_ms=200, spent=spent, levers=levers)
    return next(one for one in found if one.name == "cost")


def test_without_a_price_levers_are_told_in_time_and_what_is_missing_is_named() -> None:
    spent = Spending("v", NONE, KNOWN, NONE, NONE)
    told = cost(spent, lever("short", 3.0), lever("long", 12.0)).answer
    assert "hours of this machine (" in told
    assert "n = 4)" in told
    assert "No price is set of tokens (prompt_price and completion_price in [generator])" in told
    assert "and this machine (machine_usd_per_hour in ragdiag.toml)." in told
    assert told.endswith("long adds most: +12.00 ms a request (+11.00 to +13.00).")


def test_with_prices_levers_are_told_in_money() -> None:
    spent = Spending("v", KNOWN, KNOWN, KNOWN, KNOWN)
    told = cost(spent, lever("slow", 30.0, 2.0), lever("dear", 1.0, 90.0))
    assert "USD of tokens (" in told.answer
    assert "No price is set" not in told.answer
    assert told.answer.endswith("dear adds most: +90.00 USD a million (+89.00 to +91.00).")
    assert told.numbers["tokens_usd"]["n"] == 4


def test_where_nothing_was_logged_nothing_costs() -> None:
    assert cost(None).answer == "No query has a cost."


def test_where_no_lever_adds_anything_that_is_said() -> None:
    assert cost(None, lever("short", 0.0), lever("less", -3.0)).answer.endswith(
        "No lever that was measured adds time."
    )
    assert cost(None, lever("cheap", 5.0, -1.0)).answer.endswith(
        "No lever that was measured adds cost."
    )


def test_one_query_has_a_cost_and_says_why_there_is_no_interval() -> None:
    once = Amount(WeightedSums(Weighed.of(1), Weighed.of(2), Weighed.of(4)), 1e6, "")
    told = cost(Spending("v", NONE, once, NONE, NONE)).answer
    assert "hours of this machine (one value has no interval, n = 1)" in told


@pytest.mark.parametrize(
    ("n", "within"), [(50, "a 95 % interval for p95 needs n ≥ 73"), (80, "300 to 300")]
)
def test_p95_has_its_interval_or_the_reason_for_none(n: int, within: str) -> None:
    one = answer(0, OLD, latency_ms={"total": 300.0})
    checks = checklist([one] * n, {}, needed_to_pass=None, slo_ms=200, spent=None, levers=())
    told = next(one.answer for one in checks if one.name == "p95 budget")
    assert told.startswith(f"p95 is 300 ms ({within}, n = {n}) of a budget of 200: 100 ms over")
