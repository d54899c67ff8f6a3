"""p50, p95 and p99 by stage, segment and week, whether a target was met (METHODS.md §14), and what
the answer cache does to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from ragdiag.drift.tallies import Share, latency_quantile
from ragdiag.records import Estimate
from ragdiag.store.lake import Lake
from ragdiag.store.latency_trends import stage_latency, total_latency, weekly_latency
from ragdiag.store.queries import Filters
from ragdiag.store.trends import Split

QUANTILES: Mapping[str, float] = {"p50": 0.50, "p95": 0.95, "p99": 0.99}

Standing = Literal["within", "over", "undecided", "unknown"]


@dataclass(frozen=True, slots=True)
class StageQuantiles:
    """One stage of one segment: quantile name → milliseconds."""

    stage: str
    segment: str
    quantiles: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class CacheEffect:
    """The share of timed requests that the cache answered, and a quantile of the whole request in
    ms: over ``all`` of them, and over those that were answered ``anew``."""

    segment: str
    hit_rate: Estimate
    all: Estimate
    anew: Estimate


def stage_quantiles(lake: Lake, filters: Filters, split: Split = "all") -> list[StageQuantiles]:
    """Every measured stage by segment, in the order in which a request meets the stages."""
    return [
        StageQuantiles(
            row["stage"],
            row["segment"],
            {name: latency_quantile(row, q).estimate() for name, q in QUANTILES.items()},
        )
        for row in stage_latency(lake, filters, split)
    ]


def weekly_quantiles(
    lake: Lake, filters: Filters, stage: str, quantile: str, split: Split = "version_id"
) -> dict[str, list[tuple[date, Estimate]]]:
    """By segment, one quantile of one stage, week by week."""
    found: dict[str, list[tuple[date, Estimate]]] = {}
    for row in weekly_latency(lake, filters, (stage,), split):
        estimate = latency_quantile(row, QUANTILES[quantile]).estimate()
        found.setdefault(row["segment"], []).append((row["week"], estimate))
    return found


def cache_effects(
    lake: Lake, filters: Filters, quantile: str = "p95", split: Split = "version_id"
) -> list[CacheEffect]:
    """Every segment in which the cache answered at least one timed request."""
    q = QUANTILES[quantile]
    missed = {
        row["segment"]: latency_quantile(row, q)
        for row in total_latency(lake, filters, split, hits=False)
    }
    effects = []
    for row in total_latency(lake, filters, split, hits=True):
        hits = latency_quantile(row, q)
        anew = missed.get(row["segment"], type(hits).none(q))
        together = hits + anew  # type: ignore[operator]  # both are of one kind
        hit_rate = Share(hits.n, together.n).estimate()
        effects.append(CacheEffect(row["segment"], hit_rate, together.estimate(), anew.estimate()))
    return effects


def standing(found: Estimate, target_ms: float) -> Standing:
    """Against a target: decided only where the whole interval lies on one side of it, unknown
    where there is no interval.

    >>> standing(Estimate(180, 170, 195, 500), 200), standing(Estimate(180, 170, 210, 90), 200)
    ('within', 'undecided')
    """
    if math.isnan(found.low) or math.isnan(found.high):
        return "unknown"
    if found.high <= target_ms:
        return "within"
    return "over" if found.low > target_ms else "undecided"
