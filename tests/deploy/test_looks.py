"""Both versions' numbers beside a decision: means of what lies within 0 … 1 stay there."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ragdiag.deploy.looks import Look, sum_up, watch_rates
from ragdiag.deploy.plan import Plan, Reference
from ragdiag.records import Estimate
from ragdiag.stats.criteria import Criterion
from ragdiag.stats.intervals import wilson
from ragdiag.store.outcomes import Outcome

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


def outcome(number: int, y: int | None) -> Outcome:
    return Outcome(
        request_id=f"r{number}",
        asked_at=MONDAY,
        owner=f"u{number}",
        question=f"q{number}",
        question_id=None,
        status="ok",
        total_ms=math.nan,
        processing_ms=math.nan,
        cost_usd=math.nan,
        y=y,
        score=math.nan,
        rel=None,
        thumbs=None,
        cache_hit=False,
        keep_probability=1.0,
    )


def test_the_interval_of_a_share_ends_where_shares_do() -> None:
    found = sum_up([outcome(n, int(n >= 2)) for n in range(40)], "correct", {})["correct"]
    assert (found.value, found.n) == (0.95, 40)
    assert 0.8 < found.low < 0.9
    assert found.high == 1.0


def test_what_is_always_right_has_an_interval_too() -> None:
    outcomes = [outcome(n, 1) for n in range(40)] + [outcome(40, None)]
    found = sum_up(outcomes, "correct", {})["correct"]
    assert (found.value, found.high, found.n, found.reason) == (1.0, 1.0, 40, None)
    assert found.low == pytest.approx(wilson(40, 40).low)


def test_errors_and_thumbs_are_counted_by_users() -> None:
    alone = [
        replace(outcome(n, 1), status="error" if n < 10 else "ok", thumbs=1 if n < 10 else -1)
        for n in range(40)
    ]
    shared = [replace(one, owner=f"u{n // 5}") for n, one in enumerate(alone)]
    (by_request, by_user) = (sum_up(some, "correct", {}) for some in (alone, shared))
    for measure in ("errors", "thumbs_up"):
        assert by_request[measure] == wilson(10, 40)
        assert by_user[measure].value == 0.25
        assert by_user[measure].low < by_request[measure].low - 0.05
        assert by_user[measure].high > by_request[measure].high + 0.1


def test_what_nobody_knows_is_undefined() -> None:
    found = sum_up([outcome(1, None)], "correct", {})
    assert (found["correct"].reason, found["cost_usd"].reason) == ("no values", "no values")


@pytest.mark.parametrize(
    ("name", "more"), [("quality", 4_000), ("errors", 1_600), ("latency", 800)]
)
def test_what_a_hold_needs_is_told_in_judged_requests(name: str, more: int) -> None:
    """Of 1,000 requests 200 are judged; errors are known of 500, which no cache answered."""
    plan = Plan("correct", 200, 1_000, None, 20_000.0, None, None, {}, {}, least_n=73, share=0.1)
    known = Estimate(0.0, 0.0, 0.0, 500)
    look = Look(
        side="canary",
        old="a",
        new="b",
        since=MONDAY,
        plan=plan,
        n=1_000,
        judged=200,
        criteria={name: Criterion(name, "inconclusive", "", "ratio", known, needed_n=4_000)},
        arms={"new": {"errors": known}},
    )
    assert f"deploy canary VERSION --share 10%) with --planned-n {more} or more" in look.reason


def test_a_plan_that_knew_nothing_of_users_is_read_and_watched_as_it_was() -> None:
    rate = Reference(0.1, 5, 100, rho=0.3)
    plan = Plan("correct", 200, 1_000, None, 20_000.0, None, None, {"failures": rate}, {})
    document = plan.to_json()
    assert Plan.from_json(document) == plan
    del document["monitors"]["failures"]["rho"]
    old = Plan.from_json(document)
    assert old.monitors["failures"].rho == 0
    outcomes = [replace(outcome(n, int(n % 2)), owner=f"u{n // 10}") for n in range(200)]
    values = [float(one.y or 0) for one in outcomes]
    known, unknown = (watch_rates(outcomes, values, one)["failures"].watched for one in (plan, old))
    assert (known.rho, unknown.rho) == (0.3, 0.0)
    assert (known.n, unknown.n) == (81, 23)
