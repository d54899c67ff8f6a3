"""``ragdiag report``: what is known, told again from any snapshot; nothing is asked or graded."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ragdiag.commands.evaluate_words import evaluation_text
from ragdiag.commands.options import (
    Day,
    EvaluatedSplit,
    Json,
    JudgedSplit,
    SnapshotOption,
    TrafficElse,
    lake_of,
    read_day,
    reading,
)
from ragdiag.console import emit, write_text
from ragdiag.records import Traffic

Keep = Annotated[
    str | None, typer.Option(metavar="NAME", help="Keep the snapshot under this name.")
]


def weekly(
    context: typer.Context,
    week: Annotated[
        datetime | None,
        typer.Option(
            parser=read_day, metavar="YYYY-MM-DD", help="Any day of it. Default: the newest."
        ),
    ] = None,
    traffic: Annotated[Traffic, typer.Option(help="Which requests.")] = "production",
    markdown: Annotated[Path | None, typer.Option(help="Also write it to a file.")] = None,
    snapshot: SnapshotOption = None,
    keep: Keep = None,
    as_json: Json = False,
) -> None:
    """Better or worse than the week before, and why, as Markdown."""
    from ragdiag.reports.weekly import weekly_report

    with reading(context, snapshot) as lake:
        found = weekly_report(lake, traffic, None if week is None else week.date())
    if markdown is not None:
        write_text(markdown, found.to_markdown())
    emit(found.to_json(), as_json, found.to_markdown)
    _keep(context, keep, found.snapshot, f"report of the week of {found.found.week}")


def evaluation(
    context: typer.Context,
    version: str,
    split: JudgedSplit,
    snapshot: SnapshotOption = None,
    keep: Keep = None,
    as_json: Json = False,
) -> None:
    """The latest evaluation of a split again, without asking; as `evaluate` told it."""
    from ragdiag.store.results import find_version
    from ragdiag.workflows.comparing.evaluate import read_evaluation

    with reading(context, snapshot) as lake:
        found = read_evaluation(lake, find_version(lake, version), split)
    emit(found.to_json(), as_json, lambda: evaluation_text(found))
    _keep(context, keep, found.snapshot, f"evaluation of {version} on {split}")


def diagnosis(
    context: typer.Context,
    version: str,
    split: EvaluatedSplit = None,
    traffic: TrafficElse = None,
    since: Day = None,
    until: Day = None,
    snapshot: SnapshotOption = None,
    keep: Keep = None,
    as_json: Json = False,
) -> None:
    """What the stored verdicts add up to, without replaying; as `diagnose` told it."""
    from ragdiag.store.results import find_served_version
    from ragdiag.workflows.diagnosing.diagnose import Scope, read_diagnosis

    first, last = (day and day.replace(tzinfo=UTC) for day in (since, until))
    with reading(context, snapshot) as lake:
        served = find_served_version(lake, version)
        found = read_diagnosis(lake, served, Scope(split, traffic, first, last))
    emit(found.to_json(), as_json, found.to_text)
    _keep(context, keep, found.snapshot, f"diagnosis of {version}")


def _keep(context: typer.Context, name: str | None, snapshot: int, reason: str) -> None:
    """Name the snapshot that was read, once the report is out: a name that is taken loses none;
    without a name, say for how long it can be read."""
    from ragdiag.configuration import read_configuration
    from ragdiag.store.upkeep.snapshots import name_snapshot, named_snapshots

    lake = lake_of(context)
    if name is not None:
        name_snapshot(lake, name, reason, snapshot)
    elif snapshot not in {one.snapshot for one in named_snapshots(lake)}:
        days = read_configuration(lake.workspace).retention.snapshots_days
        print(
            f"snapshot {snapshot} has no name: `store compact` may expire it when it is {days:g} "
            "days old (to keep it: --keep NAME)",
            file=sys.stderr,
        )
