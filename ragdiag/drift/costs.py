"""What a million queries cost, tokens and machine each by itself (METHODS.md §14)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ragdiag.records import Estimate, Weighed
from ragdiag.stats.intervals import difference_of_means, mean_estimate
from ragdiag.stats.weighted import WeightedSums
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.spending import spent

QUERIES = 1e6
SECONDS_PER_HOUR = 3600.0
NOTHING = WeightedSums(Weighed.of(0), Weighed.of(0), Weighed.of(0))


@dataclass(frozen=True, slots=True)
class Amount:
    """``sums`` are of single queries, in a unit of which a million queries take ``of_a_million``
    times the mean; ``unknown`` says why no request has it."""

    sums: WeightedSums
    of_a_million: float
    unknown: str

    @property
    def is_known(self) -> bool:
        return self.sums.n > 0

    def estimate(self) -> Estimate:
        """Of a million queries, with the mean's Student t interval; what it counts is never
        negative."""
        if not self.is_known:
            return Estimate.undefined(self.unknown)
        found = mean_estimate(self.sums)
        return _scaled(replace(found, low=max(found.low, 0.0)), self.of_a_million)

    def since(self, before: Amount) -> Estimate:
        """This less ``before``, as if of independent requests."""
        return _scaled(difference_of_means(before.sums, self.sums), self.of_a_million)


@dataclass(frozen=True, slots=True)
class Spending:
    """Of one version: ``tokens``, ``machine`` and both together in US dollars, and the machine's
    ``hours``. What has no price adds nothing to ``together``; where both have one it is of the
    requests of which both are known."""

    version_id: str
    tokens: Amount
    hours: Amount
    machine: Amount
    together: Amount


def spending(lake: Lake, filters: Filters, usd_per_hour: float = 0.0) -> list[Spending]:
    """Every version. ``usd_per_hour`` is the price of a machine that answers one query at a time,
    0 where it is not known."""
    untimed, unpriced = "no request was timed", "no request has a price"
    found = []
    for row in spent(lake, filters, usd_per_hour / SECONDS_PER_HOUR):
        bill, seconds, both = (
            WeightedSums(row[f"{name}_n"], row[name], row[f"{name}2"])
            for name in ("bill", "seconds", "both")
        )
        hours = Amount(seconds, QUERIES / SECONDS_PER_HOUR, untimed)
        tokens = Amount(bill, QUERIES, unpriced)
        if not usd_per_hour:
            machine, together = Amount(NOTHING, QUERIES, "the machine has no price"), tokens
        else:
            machine = replace(hours, of_a_million=hours.of_a_million * usd_per_hour)
            together = Amount(both, QUERIES, untimed) if tokens.is_known else machine
        found.append(Spending(row["version_id"], tokens, hours, machine, together))
    return found


def _scaled(found: Estimate, by: float) -> Estimate:
    return replace(found, value=found.value * by, low=found.low * by, high=found.high * by)
