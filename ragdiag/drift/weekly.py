"""The weekly metrics, and what changed between one set of weeks and another (METHODS.md §13)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import add
from typing import Literal

from ragdiag.drift.tallies import Mean, Share, Tally, latency_quantile
from ragdiag.records import Estimate
from ragdiag.stats.weighted import WeightedSums
from ragdiag.store.lake import Lake
from ragdiag.store.latency_trends import weekly_latency
from ragdiag.store.queries import Filters, Row
from ragdiag.store.trends import Split, weekly_feedback, weekly_outcomes

Unit = Literal["share", "score", "ms"]
Movement = Literal["better", "worse", "no evidence", "unknown"]

ALL = "all"
"""The one segment of an unsplit metric."""


@dataclass(frozen=True, slots=True)
class WeeklyMetric:
    """How a weekly metric is called, what it is measured in, and which way is good."""

    label: str
    unit: Unit
    up_is_good: bool


WEEKLY_METRICS: Mapping[str, WeeklyMetric] = {
    "correct": WeeklyMetric("Correct answers", "share", True),
    "no_answer": WeeklyMetric("Declined to answer", "share", False),
    "MRR@10": WeeklyMetric("MRR@10", "score", True),
    "recall@10": WeeklyMetric("recall@10", "score", True),
    "p95": WeeklyMetric("p95 latency", "ms", False),
    "click_rate": WeeklyMetric("Click rate", "share", True),
    "task_success": WeeklyMetric("Task success", "share", True),
    "thumbs_up": WeeklyMetric("Thumbs up", "share", True),
}
"""In the order in which a change matters: the answer first."""

Cells = Mapping[str, Mapping[str, Mapping[date, Tally]]]
"""metric → segment → week → what was counted there."""


@dataclass(frozen=True, slots=True)
class Change:
    """One metric before and after; ``movement`` is ``no evidence`` where the interval holds 0."""

    metric: str
    before: Estimate
    after: Estimate
    difference: Estimate
    movement: Movement


def weekly_cells(lake: Lake, filters: Filters, split: Split = "all") -> Cells:
    """Every weekly metric by segment and week."""
    cells: dict[str, dict[str, dict[date, Tally]]] = {name: {} for name in WEEKLY_METRICS}

    def put(name: str, row: Row, tally: Tally) -> None:
        cells[name].setdefault(row["segment"], {})[row["week"]] = tally

    for row in weekly_outcomes(lake, filters, split):
        put("correct", row, Share(row["correct"], row["graded"]))
        put("no_answer", row, Share(row["no_answer"], row["n"]))
        put("MRR@10", row, Mean(WeightedSums(row["judged"], row["mrr"], row["mrr2"])))
        recall = WeightedSums(row["judged"], row["recall"], row["recall2"])
        put("recall@10", row, Mean(recall))
    for row in weekly_feedback(lake, filters, split):
        put("click_rate", row, Share(row["clicked"], row["n"]))
        put("task_success", row, Share(row["task_successes"], row["tasks"]))
        put("thumbs_up", row, Share(row["thumbs_up"], row["thumbs"]))
    for row in weekly_latency(lake, filters, split=split):
        put("p95", row, latency_quantile(row, 0.95))
    return cells


def estimates(
    cells: Cells, metric: str, *, least: int = 1
) -> dict[str, list[tuple[date, Estimate]]]:
    """By segment, the weeks of one metric in order; cells with fewer than ``least`` are left out.

    A segment without any remaining week is left out too.
    """
    series = {
        segment: [
            (week, found)
            for week, tally in sorted(by_week.items())
            if (found := tally.estimate()).n >= least
        ]
        for segment, by_week in cells[metric].items()
    }
    return {segment: points for segment, points in series.items() if points}


def changes(
    cells: Cells, before: Iterable[date], after: Iterable[date], segment: str = ALL
) -> list[Change]:
    """Each metric in the pooled weeks ``after`` against the pooled weeks ``before``."""
    weeks_before, weeks_after = tuple(before), tuple(after)
    found = []
    for name in WEEKLY_METRICS:
        by_week = cells[name].get(segment, {})
        earlier, later = _pool(by_week, weeks_before), _pool(by_week, weeks_after)
        found.append(_change(name, earlier, later))
    return found


def _pool(by_week: Mapping[date, Tally], weeks: Iterable[date]) -> Tally | None:
    present = [by_week[week] for week in weeks if week in by_week]
    return reduce(add, present) if present else None


def _change(name: str, before: Tally | None, after: Tally | None) -> Change:
    nothing = Estimate.undefined("no requests in that time")
    earlier = nothing if before is None else before.estimate()
    later = nothing if after is None else after.estimate()
    moved = nothing if before is None or after is None else after.since(before)
    if math.isnan(moved.low) or math.isnan(moved.high):
        return Change(name, earlier, later, moved, "unknown")
    if moved.low <= 0 <= moved.high:
        return Change(name, earlier, later, moved, "no evidence")
    good = (moved.value > 0) == WEEKLY_METRICS[name].up_is_good
    return Change(name, earlier, later, moved, "better" if good else "worse")
