"""What a setting adds: time and money by the same questions, and a reason where there is none."""

from __future__ import annotations

import pytest

from ragdiag.workflows.diagnosing.lever_costs import UNPRICED, Prices, added_ms, added_usd
from ragdiag.workflows.diagnosing.what_if import Outcome

BEFORE = [Outcome(0, 1, 10.0, 100.0, 0.001) for _ in range(4)]
AFTER = [Outcome(0, 1, 10.0 + n, 100.0, 0.002 + n / 1e4) for n in range(4)]
OWNERS = ["a", "b", "c", "d"]


def test_time_is_a_paired_mean_with_its_interval() -> None:
    found = added_ms(BEFORE, AFTER, OWNERS)
    assert (found.value, found.n) == (1.5, 4)
    assert found.low < 1.5 < found.high


@pytest.mark.parametrize(
    ("prices", "usd"),
    [
        (Prices(usd_per_hour=3.6), 1e6 * 1.5e-3 / 3600 * 3.6),
        (Prices(paid=True), 1e6 * 0.00115),
        (Prices(paid=True, usd_per_hour=3.6), 1e6 * (0.00115 + 1.5e-6)),
    ],
)
def test_money_is_the_bill_and_the_machine_of_a_million(prices: Prices, usd: float) -> None:
    found = added_usd(BEFORE, AFTER, OWNERS, prices)
    assert found.value == pytest.approx(usd)
    assert found.low < usd < found.high


def test_who_pays_for_tokens_does_not_pay_for_the_generators_time() -> None:
    slow = [Outcome(0, 1, 10.0, 900.0, 0.001) for _ in range(4)]
    assert added_usd(BEFORE, slow, OWNERS, Prices(paid=True, usd_per_hour=3.6)).value == 0
    assert added_usd(BEFORE, slow, OWNERS, Prices(usd_per_hour=3.6)).value > 0


def test_a_local_generator_in_place_of_a_paid_one_costs_its_time() -> None:
    local = [Outcome(0, 1, 10.0, 360.0) for _ in range(4)]
    here = Prices(usd_per_hour=3.6)
    found = added_usd(BEFORE, local, OWNERS, Prices(paid=True, usd_per_hour=3.6), here)
    assert found.value == pytest.approx(1e6 * (0.36 / 1e3 - 0.001))


def test_what_has_no_price_says_so() -> None:
    assert added_usd(BEFORE, AFTER, OWNERS, Prices()).reason == UNPRICED
    unknown = [Outcome(0, 1, 1.0)] * 4
    assert "known cost" in (added_usd(unknown, unknown, OWNERS, Prices(paid=True)).reason or "")
