"""The weekly metrics, and what changed between one set of weeks and another (METHODS.md §13)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce
from operator import add
from typing import Literal

from ragdiag.drift.tallies import Mean, Share, Tally, latency_quantile, square_and_add
from ragdiag.records import Estimate
from ragdiag.stats.families import benjamini_hochberg
from ragdiag.stats.intervals import Z95
from ragdiag.stats.scatter import Scatter, widened
from ragdiag.stats.weighted import WeightedSums
from ragdiag.store.lake import Lake
from ragdiag.store.latency_trends import weekly_latency
from ragdiag.store.queries import Filters, Row
from ragdiag.store.trends import OWNED, Split, scatter_by_user, weekly_feedback, weekly_outcomes

Unit = Literal["share", "score", "ms"]
Movement = Literal["better", "worse", "no evidence", "unknown"]

ALL = "all"
"""The one segment of an unsplit metric."""
_NOTHING = "no requests in that time"


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


Scatters = Mapping[str, Scatter]
"""metric → how the users scatter, as :func:`scatter_by_user` says it; nothing of what it leaves out
(p95), whose requests are taken to be independent."""


@dataclass(frozen=True, slots=True)
class Change:
    """One metric before and after; ``movement`` is ``no evidence`` where the interval holds 0, or
    where others that were looked at beside it explain it (:func:`moved_together`)."""

    metric: str
    before: Estimate
    after: Estimate
    difference: Estimate
    movement: Movement

    @property
    def p(self) -> float:
        """Two-sided: .05 where 0 is just at an end of the interval; NaN without an interval."""
        moved = self.difference
        half = moved.value - moved.low if moved.value > 0 else moved.high - moved.value
        if math.isnan(half):
            return math.nan
        distance = Z95 * abs(moved.value)
        return math.erfc(distance / half / math.sqrt(2)) if half > 0 else float(distance == 0)


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


def compared(
    cells: Cells,
    before: Sequence[date],
    after: Sequence[date],
    users: Sequence[Mapping[str, Scatters]],
) -> dict[str, list[Change]]:
    """By segment, :func:`changes` in which the requests of one user belong together: ``users`` are
    :func:`user_scatters` of the weeks before and after. Empty where there are no requests."""
    segments = sorted({segment for by_segment in cells.values() for segment in by_segment})
    return {
        segment: changes(cells, before, after, segment, [one.get(segment, {}) for one in users])
        for segment in segments
    }


def user_scatters(
    lake: Lake, filters: Filters, weeks: Sequence[date], split: Split = "all"
) -> dict[str, Scatters]:
    """By segment, how the users of these weeks scatter."""
    return {
        row["segment"]: {name: Scatter(**row[name]) for name in OWNED}
        for row in scatter_by_user(lake, filters, weeks, split)
    }


def changes(
    cells: Cells,
    before: Iterable[date],
    after: Iterable[date],
    segment: str = ALL,
    scatters: Sequence[Scatters] = ({}, {}),
) -> list[Change]:
    """Each metric in the pooled weeks ``after`` against the pooled weeks ``before``; ``scatters``
    of the users then and now, without which every request is taken to be independent."""
    weeks_before, weeks_after = tuple(before), tuple(after)
    found = []
    for name in WEEKLY_METRICS:
        by_week = cells[name].get(segment, {})
        earlier, later = _pool(by_week, weeks_before), _pool(by_week, weeks_after)
        found.append(_change(name, earlier, later, *(one.get(name) for one in scatters)))
    return found


def moved_together(found: Sequence[Change]) -> list[Change]:
    """The changes of one pair of windows, each read beside the others: the first, of right answers,
    by itself, the others by Benjamini & Hochberg's (1995) step-up at 5 %, as METHODS.md §13 has it
    for pages. Of the others that moved one in twenty is expected to have done so by chance."""
    return [*found[:1], *moved_beside(found[1:])]


def moved_beside(found: Sequence[Change]) -> list[Change]:
    """The changes; those whose p, adjusted for all of them, is above .05 are ``no evidence``."""
    known = [number for number, one in enumerate(found) if not math.isnan(one.p)]
    adjusted = benjamini_hochberg([found[number].p for number in known])
    chance = {number for number, p in zip(known, adjusted, strict=True) if p > 0.05}
    return [
        replace(one, movement="no evidence") if number in chance else one
        for number, one in enumerate(found)
    ]


def _pool(by_week: Mapping[date, Tally], weeks: Iterable[date]) -> Tally | None:
    present = [by_week[week] for week in weeks if week in by_week]
    return reduce(add, present) if present else None


def _change(
    name: str,
    before: Tally | None,
    after: Tally | None,
    users_before: Scatter | None,
    users_after: Scatter | None,
) -> Change:
    earlier, later = _estimate(before, users_before), _estimate(after, users_after)
    moved = Estimate.undefined(_NOTHING)
    if before is not None and after is not None:
        plain = (earlier, later) == (before.estimate(), after.estimate())
        moved = after.since(before) if plain else square_and_add(earlier, later)
    if math.isnan(moved.low) or math.isnan(moved.high):
        return Change(name, earlier, later, moved, "unknown")
    if moved.low <= 0 <= moved.high:
        return Change(name, earlier, later, moved, "no evidence")
    good = (moved.value > 0) == WEEKLY_METRICS[name].up_is_good
    return Change(name, earlier, later, moved, "better" if good else "worse")


def _estimate(tally: Tally | None, users: Scatter | None) -> Estimate:
    if tally is None:
        return Estimate.undefined(_NOTHING)
    found = tally.estimate()
    return found if users is None else widened(found, tally.error, users)
