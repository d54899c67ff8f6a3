"""Shares of requests that were answered with less than all parts of their version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from ragdiag.records import Estimate, Weighed
from ragdiag.stats.weighted import weighted_rate
from ragdiag.store.degradation import weekly_degradation
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters

Series = list[tuple[date, Estimate]]


@dataclass(frozen=True, slots=True)
class Degradation:
    """Shares of all requests with their intervals: ``any`` reason, and by ``reasons``, the most
    frequent first; a week in which a reason was not named has a share of 0. ``overall`` is over all
    weeks.
    """

    any: Series
    reasons: Mapping[str, Series]
    overall: Mapping[str, Estimate]


def degraded_shares(lake: Lake, filters: Filters) -> Degradation:
    """How often requests were degraded, week by week."""
    rows = weekly_degradation(lake, filters)
    none = Weighed.of(0)
    totals: dict[date, Weighed] = {row["week"]: row["total"] for row in rows}
    named: dict[tuple[str | None, date], Weighed] = {
        (row["reason"], row["week"]): row["n"] for row in rows
    }
    counts = {
        reason: sum((named.get((reason, week), none) for week in totals), none)
        for reason, _ in named
        if reason is not None
    }

    def series(reason: str | None) -> Series:
        return [
            (week, weighted_rate(named.get((reason, week), none), totals[week])) for week in totals
        ]

    ordered = sorted(counts, key=lambda reason: (-counts[reason].weighted, reason))
    n = sum(totals.values(), none)
    return Degradation(
        any=series(None),
        reasons={reason: series(reason) for reason in ordered},
        overall={reason: weighted_rate(counts[reason], n) for reason in ordered},
    )
