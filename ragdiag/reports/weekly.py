"""One week against the one before it, for a stakeholder: better or worse, and why.

A report names the snapshot that it was made from; from that snapshot it comes out the same again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from ragdiag.drift.mix import Mix
from ragdiag.drift.segments import comparable
from ragdiag.drift.week import WeekReport, week_report
from ragdiag.drift.weekly import Change, compared, user_scatters, weekly_cells
from ragdiag.errors import UnknownName
from ragdiag.markdown import plain
from ragdiag.records import Traffic
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, Row, traffic_kinds, version_names, weeks
from ragdiag.store.trends import Split
from ragdiag.store.upkeep.snapshots import snapshot_times
from ragdiag.ui import terms, words
from ragdiag.ui.changes import columns
from ragdiag.ui.headline import headlines, nothing_changed, nothing_failed

LEAST = 10
"""Graded answers in either week, for a segment to be compared."""
LISTED_WEEKS = 5


@dataclass(frozen=True, slots=True)
class WeeklyReport:
    """``n`` requests of ``traffic`` from ``first_day`` to ``last_day`` of the week; ``segments``
    are the changes of correct answers by topic and by version, those that moved first.
    ``snapshot`` was committed at ``snapshot_at``."""

    traffic: Traffic
    n: int
    first_day: date
    last_day: date
    found: WeekReport
    segments: Sequence[tuple[str, Change]]
    left_out: int
    snapshot: int
    snapshot_at: datetime

    @property
    def outcome(self) -> str:
        """``worse`` where anything is, ``better`` where something is and nothing is worse."""
        moved = {change.movement for change in self.found.changes}
        if "worse" in moved:
            return "worse"
        if "better" in moved:
            return "better"
        return "not compared" if moved == {"unknown"} else "no change shown"

    @property
    def sentences(self) -> list[str]:
        """The worst thing first."""
        told = headlines(self.found.changes, self.found.growth, self.found.mix)
        return told or [nothing_changed(self.found.changes)]

    def to_json(self) -> dict[str, Any]:
        previous = self.found.previous
        return {
            "week": self.found.week.isoformat(),
            "previous": None if previous is None else previous.isoformat(),
            "traffic": self.traffic,
            "n": self.n,
            "outcome": self.outcome,
            "sentences": self.sentences,
            "ungraded": self.found.ungraded,
            "correct_bounds": list(self.found.correct_bounds),
            "metrics": {change.metric: _change_json(change) for change in self.found.changes},
            "faults": {
                fault.name: {
                    "before": fault.before.to_json(),
                    "after": fault.after.to_json(),
                    "difference": fault.difference.to_json(),
                }
                for fault in self.found.faults
            },
            "correct_by_mix": None if self.found.mix is None else _mix_json(self.found.mix),
            "correct_by_segment": [
                {"segment": segment, **_change_json(change)} for segment, change in self.segments
            ],
            "snapshot": self.snapshot,
            "snapshot_at": self.snapshot_at.isoformat(timespec="seconds"),
        }

    def to_markdown(self) -> str:
        previous = self.found.previous
        against = (
            "there is no earlier week to compare with"
            if previous is None
            else f"against the week of {words.week(previous)}"
        )
        return "\n".join(
            [
                f"# Week of {words.week(self.found.week)}: {self.outcome}",
                "",
                f"{self.traffic.capitalize()} traffic, {words.count(self.n, 'request')} from "
                f"{self.first_day} to {self.last_day} (UTC), {against}.",
                "",
                *(f"- {plain(sentence)}" for sentence in self.sentences),
                "",
                *self._ungraded(),
                "## All measures",
                "",
                *_table(columns(self.found.changes, "This week", "Before")),
                "",
                f"In brackets: 95 % interval and n. {terms.READ_TOGETHER} {terms.CORRECT}",
                "",
                *self._faults(),
                *self._segments(),
                f"Made from snapshot {self.snapshot} of the query log, of "
                f"{words.moment(self.snapshot_at)}. To make it again: `ragdiag report weekly "
                f"--traffic {self.traffic} --week {self.found.week} --snapshot {self.snapshot}`.",
                "",
            ]
        )

    def _ungraded(self) -> Iterator[str]:
        if self.found.ungraded:
            yield from (words.ungraded_bounds(self.found.ungraded, self.found.correct_bounds), "")

    def _faults(self) -> Iterator[str]:
        yield from ("## Why answers failed", "")
        faults = self.found.faults
        if not faults:
            yield from (nothing_failed(self.found.changes), "")
            return
        yield from _table(
            {
                "Fault": [terms.spoken(one.name) for one in faults],
                "Meaning": [
                    terms.CAUSES.get(one.name) or terms.VERDICTS.get(one.name, "") for one in faults
                ],
                "Mended by": [terms.mender(one.name) for one in faults],
                "This week": [words.with_interval(one.after, "share") for one in faults],
                "Before": [words.with_interval(one.before, "share") for one in faults],
                "Change": [words.change(one.difference, "share") for one in faults],
            }
        )
        yield from ("", "Shares of graded answers.", "")

    def _segments(self) -> Iterator[str]:
        if not self.segments:
            return
        yield from ("## Correct answers by topic and version", "")
        told = columns([change for _, change in self.segments], "This week", "Before")
        del told["Measure"]
        yield from _table({"Segment": [name for name, _ in self.segments], **told})
        left = f"; {self.left_out} with fewer are left out" if self.left_out else ""
        yield from (
            "",
            f"Segments with at least {LEAST} graded answers in either week{left}. "
            f"{terms.READ_BESIDE}",
            "",
        )


def weekly_report(lake: Lake, traffic: Traffic, week: date | None = None) -> WeeklyReport:
    """The week in which the day ``week`` lies (the newest with requests), against the one before.

    Raises UnknownName where it has no requests of that traffic.
    """
    chosen = _find_week(lake, traffic, week)
    filters = Filters(traffic=traffic)
    found = week_report(lake, filters, chosen["week"])
    segments, left_out = comparable(_by_segment(lake, filters, found), LEAST)
    snapshot = lake.snapshot()
    return WeeklyReport(
        traffic,
        int(chosen["n"]),
        chosen["first_day"],
        chosen["last_day"],
        found,
        segments,
        left_out,
        snapshot,
        snapshot_times(lake)[snapshot],
    )


def _find_week(lake: Lake, traffic: Traffic, day: date | None) -> Row:
    known = weeks(lake, traffic)
    if not known:
        kinds = ", ".join(row["traffic"] for row in traffic_kinds(lake))
        raise UnknownName(
            f"no request is {traffic} traffic",
            remedy=f"give --traffic, one of: {kinds}" if kinds else "run: ragdiag ingest",
        )
    if day is None:
        return known[0]
    monday = day - timedelta(days=day.weekday())
    for row in known:
        if row["week"] == monday:
            return row
    listed = ", ".join(str(row["week"]) for row in known[:LISTED_WEEKS])
    raise UnknownName(
        f"the week of {monday} has no {traffic} request",
        remedy=f"the newest of the {len(known)} weeks that have some: {listed}",
    )


def _by_segment(lake: Lake, filters: Filters, found: WeekReport) -> Iterator[tuple[str, Change]]:
    """The change of correct answers in each topic and in each version, where there are several."""
    if found.previous is None:
        return
    named: Mapping[Split, Mapping[str, str]] = {"topic": {}, "version_id": version_names(lake)}
    for split, names in named.items():
        stretches = [found.previous], [found.week]
        users = [user_scatters(lake, filters, some, split) for some in stretches]
        moved = compared(weekly_cells(lake, filters, split), *stretches, users)
        graded = [
            (name, one[0]) for name, one in moved.items() if one[0].before.n or one[0].after.n
        ]
        for segment, change in graded if len(graded) > 1 else ():
            yield f"{split.removesuffix('_id')} {names.get(segment, segment) or 'none'}", change


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "before": change.before.to_json(),
        "after": change.after.to_json(),
        "difference": change.difference.to_json(),
        "movement": change.movement,
    }


def _mix_json(mix: Mix) -> dict[str, Any]:
    moved = {"segment": mix.segment, "before": mix.before, "after": mix.after}
    return {"effect": mix.effect.to_json(), "change": mix.change, "moved_most": moved}


def _table(told: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(told)} |"
    yield "|" + "---|" * len(told)
    for row in zip(*told.values(), strict=True):
        yield f"| {' | '.join(plain(cell) for cell in row)} |"
