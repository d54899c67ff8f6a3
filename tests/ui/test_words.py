"""Numbers and times as the pages print them."""

from __future__ import annotations

import math
from datetime import date

import pytest

from ragdiag.records import Estimate
from ragdiag.ui import words


def plain(text: str) -> str:
    return text.replace(words.NBSP, " ")


def test_an_estimate_shows_interval_and_n() -> None:
    found = Estimate(0.613, 0.57, 0.654, 512)
    assert plain(words.with_interval(found, "share")) == "61.3 % (57.0–65.4, n = 512)"
    assert plain(words.with_interval(Estimate(0.634, 0.6, 0.67, 778), "score")) == (
        "0.634 (0.600–0.670, n = 778)"
    )
    assert plain(words.with_interval(Estimate(1204.4, 999, 1500, 90), "ms")) == (
        "1,204 ms (999–1,500, n = 90)"
    )


def test_what_is_undefined_says_why() -> None:
    assert plain(words.with_interval(Estimate.undefined("no rows"), "share")) == (
        "– (no rows, n = 0)"
    )
    short = Estimate(120.0, math.nan, math.nan, 12, "a 95 % interval for p95 needs n ≥ 73")
    assert plain(words.with_interval(short, "ms")) == "120 ms (no interval, n = 12)"
    assert "needs n ≥ 73" in words.interval_only(short, "ms")


def test_a_change_without_an_interval_says_why_once() -> None:
    for why, told in (("too few", "no interval: too few"), ("no interval yet", "no interval yet")):
        found = Estimate(0.1, math.nan, math.nan, 12, why)
        assert plain(words.change(found, "share")) == f"+10.0 points ({told})"


def test_a_change_is_signed_and_in_points() -> None:
    found = Estimate(-0.13, -0.192, -0.071, 600)
    assert plain(words.change(found, "share")) == "−13.0 points (−19.2 to −7.1)"
    assert plain(words.change(Estimate(45.2, 30.0, 61.0, 600), "ms")) == "+45.2 ms (+30.0 to +61.0)"
    assert words.change(Estimate.undefined("x"), "ms") == "– (x)"
    assert plain(words.size(-0.021, "share")) == "2.1 points"
    assert plain(words.change(Estimate(-1250.0, -1300, -1200.4, 9), "usd")) == (
        "−1,250 USD (−1,300 to −1,200)"
    )
    assert plain(words.number(12.34, "hours")) == "12.3 h"


@pytest.mark.parametrize(
    ("p", "text"), [(0.0001, "< .001"), (0.034, ".034"), (1.0, "1"), (math.nan, "–")]
)
def test_p_values(p: float, text: str) -> None:
    assert words.p_value(p) == text


@pytest.mark.parametrize(
    ("monday", "text"),
    [
        (date(2025, 11, 3), "3–9 Nov 2025"),
        (date(2025, 9, 29), "29 Sep – 5 Oct 2025"),
        (date(2025, 12, 29), "29 Dec 2025 – 4 Jan 2026"),
    ],
)
def test_weeks_are_named_by_their_days(monday: date, text: str) -> None:
    assert words.week(monday) == text
