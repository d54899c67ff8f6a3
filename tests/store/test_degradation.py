"""Degraded requests by week and reason, against counting them one by one."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ragdiag.records import Request, Weighed
from ragdiag.settings import Workspace
from ragdiag.store.degradation import weekly_degradation
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.spool import SpoolWriter

REASONS = (
    None,
    "",
    " ; ",
    "dense: OSError",
    "rerank: late",
    "rerank: late; generation: down",
    "a;a",
)
NAMES = {
    "dense: OSError": {"dense: OSError"},
    "rerank: late": {"rerank: late"},
    "rerank: late; generation: down": {"rerank: late", "generation: down"},
    "a;a": {"a"},
}


def log(lake: Lake, workspace: Workspace) -> list[Request]:
    chance = random.Random(11)
    logged = [
        Request(
            f"r{n}",
            datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=chance.randrange(28 * 24)),
            chance.choice(("v1", "v2")),
            chance.choice(("production", "shadow")),
            "why?",
            degraded_reason=chance.choice(REASONS),
            keep_probability=chance.choice((1.0, 0.25)),
        )
        for n in range(200)
    ]
    with SpoolWriter(workspace) as spool:
        for request in logged:
            spool.write(request)
    ingest(lake, workspace)
    return logged


def counted(weights: Mapping[Any, list[float]]) -> dict[Any, Weighed]:
    return {name: Weighed.counted(each) for name, each in weights.items()}


def test_it_counts_what_counting_one_by_one_finds(lake: Lake, workspace: Workspace) -> None:
    logged = log(lake, workspace)
    for filters in (Filters(), Filters(traffic="production", version_id="v2")):
        totals, named = defaultdict(list), defaultdict(list)
        for request in logged:
            if filters.traffic in (None, request.traffic) and filters.version_id in (
                None,
                request.version_id,
            ):
                week = (request.asked_at - timedelta(days=request.asked_at.weekday())).date()
                reasons = NAMES.get(request.degraded_reason or "", set())
                weight = 1 / request.keep_probability
                totals[week].append(weight)
                for reason in reasons:
                    named[week, reason].append(weight)
                named[week, None] += [weight] if reasons else []
        found = weekly_degradation(lake, filters)
        assert {(row["week"], row["reason"]): row["n"] for row in found} == counted(named)
        assert {row["week"]: row["total"] for row in found} == counted(totals)


def test_without_requests_there_is_no_week(lake: Lake) -> None:
    assert weekly_degradation(lake, Filters()) == []
