"""What commands share: options and how they are read, and the workspace as they open it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragdiag.errors import InputError
from ragdiag.records import Traffic
from ragdiag.settings import Workspace, command_workspace

if TYPE_CHECKING:
    from ragdiag.store.lake import Lake
    from ragdiag.version import Version

JudgedSplit = Annotated[str, typer.Option("--split", help="Which judged questions.")]
EvaluatedSplit = Annotated[
    str | None, typer.Option("--split", help="Its latest evaluation; else production.")
]
TrafficElse = Annotated[
    Traffic | None,
    typer.Option("--traffic", help="Without a split; default: production."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ProgressOption = Annotated[
    Path | None, typer.Option("--progress-file", help="Keep progress in this file as well.")
]
SnapshotOption = Annotated[
    str | None,
    typer.Option(
        "--snapshot",
        metavar="NAME|ID|TIME",
        help="Report on the query log as it was then. Default: as it is now.",
    ),
]
Incumbent = Annotated[str, typer.Argument(help="The incumbent.")]
Candidate = Annotated[str, typer.Argument(help="The candidate.")]
SummaryFile = Annotated[Path | None, typer.Option(help="Also write a summary, for a pull request.")]
Tenant = Annotated[str | None, typer.Option(help="Whose passages are found beside everybody's.")]
Roles = Annotated[list[str] | None, typer.Option(help="A role of who asks; may be repeated.")]
Yes = Annotated[bool, typer.Option("--yes", help="Ask a priced generator.")]
DryRemoval = Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")]
SaveAs = Annotated[
    str | None, typer.Option("--save-as", help="Keep the result as a version of this name.")
]
Host = Annotated[str, typer.Option(help="Other machines need a token.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="0: any free one.")]
Rate = Annotated[float, typer.Option(min=0.01, help="Requests a second of one client address.")]


def read_day(text: str) -> datetime:
    """A day as its midnight. Raises InputError.

    >>> read_day("2026-01-31")
    datetime.datetime(2026, 1, 31, 0, 0)
    """
    try:
        return datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        raise InputError(f"{text!r} is no day", remedy="write YYYY-MM-DD") from None


Day = Annotated[
    datetime | None, typer.Option(parser=read_day, metavar="YYYY-MM-DD", help="UTC day.")
]
DAY_MS = 86_400_000.0
"""No budget for a request is longer: infinity is no number of JSON."""
CENTURY_DAYS = 36_500
"""Nothing is kept for longer, and dates that lie much further back are none."""

_SECONDS = {"s": 1, "m": 60, "h": 3600}


def lake_of(context: typer.Context, *, create: bool = False) -> Lake:
    """The lake that the command is about. Raises as :func:`ragdiag.store.lake.open_lake`."""
    from ragdiag.store.lake import open_lake

    return open_lake(command_workspace(context.obj), create=create)


def opened(context: typer.Context, name: str) -> tuple[Lake, Workspace, Version]:
    """The lake, the workspace, and the version of that name. Raises UnknownName, NoWorkspace."""
    from ragdiag.store.results import find_version

    lake = lake_of(context)
    return lake, command_workspace(context.obj), find_version(lake, name)


@contextmanager
def reading(context: typer.Context, snapshot: str | None) -> Iterator[Lake]:
    """The lake at one snapshot, the newest where None is given: whatever comes in meanwhile, all
    that a report says is of one state, whose number it can name. Raises UnknownName, NoWorkspace.
    """
    from ragdiag.store.upkeep.past import PastLake
    from ragdiag.store.upkeep.snapshots import find_snapshot

    lake = lake_of(context)
    chosen = lake.snapshot() if snapshot is None else find_snapshot(lake, snapshot)
    with PastLake(lake, chosen) as past:
        yield past


def read_seconds(text: str) -> float:
    """``60s``, ``5m`` or ``1h`` in seconds. Raises InputError.

    >>> read_seconds("90s"), read_seconds("1.5m"), read_seconds("1h")
    (90.0, 90.0, 3600.0)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh])\s*", text)
    if found is None or float(found[1]) == 0:
        raise InputError(f"{text!r} is no length of time", remedy="write it as 60s, 5m or 1h")
    return float(found[1]) * _SECONDS[found[2]]
