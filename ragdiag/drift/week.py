"""One week against the one before it: what the overview page and a weekly report tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ragdiag.drift.faults import FaultShare, Growth, fastest_growth, fault_shares
from ragdiag.drift.mix import Mix, mix_effect
from ragdiag.drift.tallies import Share, Tally
from ragdiag.drift.weekly import (
    ALL,
    WEEKLY_METRICS,
    Change,
    changes,
    estimates,
    moved_together,
    user_scatters,
    weekly_cells,
)
from ragdiag.records import Estimate, Weighed
from ragdiag.stats.intervals import rate_bounds_with_unknown
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.trends import weekly_failures, weekly_outcomes


@dataclass(frozen=True, slots=True)
class WeekReport:
    """``previous`` is the last earlier week with traffic, None for the first. ``series`` holds
    every metric week by week, up to ``week``. ``ungraded`` requests of the week were logged;
    ``correct_bounds`` is the rate of right answers over all of them, by weight, if every ungraded
    one were wrong, and if every one were right. ``mix`` is what other topics explain of a change
    that is shown in it."""

    week: date
    previous: date | None
    changes: tuple[Change, ...]
    faults: tuple[FaultShare, ...]
    growth: Growth | None
    mix: Mix | None
    series: dict[str, list[tuple[date, Estimate]]]
    ungraded: int
    correct_bounds: tuple[float, float]

    def change(self, metric: str) -> Change:
        return next(change for change in self.changes if change.metric == metric)


def week_report(lake: Lake, filters: Filters, week: date) -> WeekReport:
    """Compare ``week`` (a Monday) with the week of traffic before it."""
    cells = weekly_cells(lake, filters)
    earlier = [monday for monday in cells["no_answer"].get(ALL, {}) if monday < week]
    previous = max(earlier, default=None)
    weeks = [] if previous is None else [previous], [week]
    users = [user_scatters(lake, filters, some).get(ALL, {}) for some in weeks]
    moved = moved_together(changes(cells, *weeks, scatters=users))
    graded = cells["correct"].get(ALL, {})
    faults = fault_shares(
        weekly_failures(lake, filters),
        before=previous,
        after=week,
        graded_before=_counted(graded, previous),
        graded_after=_counted(graded, week),
    )
    asked, known = cells["no_answer"].get(ALL, {}), graded.get(week)
    right = known.successes if isinstance(known, Share) else Weighed.of(0)
    everyone, told = _counted(asked, week), _counted(graded, week)
    return WeekReport(
        week=week,
        previous=previous,
        changes=tuple(moved),
        faults=tuple(faults),
        growth=None if previous is None else fastest_growth(faults),
        mix=_mix(lake, filters, previous, week) if previous and _has_moved(moved) else None,
        series={
            name: [point for point in estimates(cells, name).get(ALL, []) if point[0] <= week]
            for name in WEEKLY_METRICS
        },
        ungraded=int(everyone.plain - told.plain),
        correct_bounds=rate_bounds_with_unknown(
            right.weighted, told.weighted, max(everyone.weighted - told.weighted, 0.0)
        ),
    )


def _has_moved(moved: Sequence[Change]) -> bool:
    return any(one.metric == "correct" and one.movement in ("worse", "better") for one in moved)


def _mix(lake: Lake, filters: Filters, before: date, after: date) -> Mix | None:
    weeks: dict[date, dict[str, Share]] = {before: {}, after: {}}
    for row in weekly_outcomes(lake, filters, "topic"):
        if row["week"] in weeks and row["graded"].plain:
            topic = row["segment"] or "no topic"
            weeks[row["week"]][topic] = Share(row["correct"], row["graded"])
    return mix_effect(weeks[before], weeks[after])


def _counted(share: Mapping[date, Tally], week: date | None) -> Weighed:
    """What a share of a week is of; nothing where there is no such week."""
    tally = None if week is None else share.get(week)
    return tally.n if isinstance(tally, Share) else Weighed.of(0)
