"""What a setting takes and costs more than the version as it is, request by request."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from ragdiag.drift.costs import QUERIES, SECONDS_PER_HOUR
from ragdiag.records import Estimate
from ragdiag.stats.paired import compare_paired
from ragdiag.workflows.diagnosing.what_if import Outcome

UNPRICED = (
    "no price: set prompt_price and completion_price in [generator], or machine_usd_per_hour in "
    "ragdiag.toml"
)


@dataclass(frozen=True, slots=True)
class Prices:
    """``paid``: the generator's tokens have a price, so that its time is not this machine's.
    ``usd_per_hour`` is that of this machine, 0 where it is not known."""

    paid: bool = False
    usd_per_hour: float = 0.0

    def usd(self, one: Outcome) -> float:
        """What a request costs of that which was done anew; NaN where its bill is not known."""
        here = one.found_ms + (0.0 if self.paid else one.answered_ms)
        bill = one.usd if self.paid else 0.0
        return bill + here / 1e3 / SECONDS_PER_HOUR * self.usd_per_hour


def added_ms(
    before: Sequence[Outcome], after: Sequence[Outcome], owners: Sequence[Hashable]
) -> Estimate:
    """The mean a request, with its interval; requests of one owner are not independent.

    >>> ms = [Outcome(0.0, 0.0, found_ms=found) for found in (1.0, 2.0, 3.0, 5.0)]
    >>> added_ms(ms[:2], ms[2:], "ab").value
    2.5
    """
    return _difference(
        [one.found_ms + one.answered_ms for one in before],
        [one.found_ms + one.answered_ms for one in after],
        owners,
    )


def added_usd(
    before: Sequence[Outcome],
    after: Sequence[Outcome],
    owners: Sequence[Hashable],
    prices: Prices,
    prices_after: Prices | None = None,
) -> Estimate:
    """Of a million requests, in US dollars: the bill of the tokens and the time of this machine, as
    far as they have a price; ``prices_after`` where another generator answers then.

    >>> asked = [Outcome(0.0, 0.0, found_ms=ms) for ms in (0.0, 0.0, 36.0, 36.0)]
    >>> added_usd(asked[:2], asked[2:], "ab", Prices(usd_per_hour=0.5)).value
    5.0
    """
    then = prices if prices_after is None else prices_after
    if not (prices.paid or then.paid or prices.usd_per_hour):
        return Estimate.undefined(UNPRICED)
    found = _difference(
        [prices.usd(one) for one in before], [then.usd(one) for one in after], owners
    )
    value, low, high = (QUERIES * x for x in (found.value, found.low, found.high))
    return replace(found, value=value, low=low, high=high)


def _difference(
    before: Sequence[float], after: Sequence[float], owners: Sequence[Hashable]
) -> Estimate:
    found = compare_paired(before, after, clusters=owners).difference
    if math.isnan(found.value):
        return replace(found, reason="no request was answered again with a known cost")
    return found
