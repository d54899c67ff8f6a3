"""What was refused, and what was loaded although it is odd: both with source, line and reason."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import duckdb

from ragdiag.records import Reject
from ragdiag.store.lake import Lake
from ragdiag.store.times import to_aware_utc

_NOTED = """
    select rejected_at as noted_at, 'reject' as kind, source, line, reason from rejects
    union all
    select noted_at, 'remark', source, line, reason from remarks"""


@dataclass(frozen=True, slots=True)
class Noted:
    """A ``reject`` is not in the lake, what a ``remark`` is about is. ``line`` 0: all of it."""

    noted_at: datetime
    kind: Literal["reject", "remark"]
    source: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class NotedLines:
    """The newest ones, and how many there are in all."""

    newest: tuple[Noted, ...]
    rejects: int
    remarks: int


def known_rejects(lake: Lake, sources: Collection[str]) -> set[tuple[str, int, str]]:
    """Source, line and reason of every reject of these sources."""
    rows = lake.rows(
        "select source, line, reason from rejects where source in (select unnest(?::varchar[]))",
        [sorted(sources)],
    )
    return {(row["source"], row["line"], row["reason"]) for row in rows}


def take_rejects(lake: Lake, sources: Collection[str]) -> list[Reject]:
    """Remove the rejects of these sources from the lake; returns them by source and line."""

    def take(cursor: duckdb.DuckDBPyConnection) -> list[Reject]:
        names = [sorted(sources)]
        chosen = "where source in (select unnest(?::varchar[]))"
        found = cursor.execute(
            f"select source, line, reason, body from rejects {chosen} order by source, line", names
        ).fetchall()
        cursor.execute(f"delete from rejects {chosen}", names)
        return [Reject(*row) for row in found]

    return lake.write(take)


def list_noted(lake: Lake, *, source: str = "", limit: int = 50) -> NotedLines:
    """The ``limit`` newest rejects and remarks whose source has ``source`` in it, newest first.

    Their bodies stay in the lake: a refused line may say what nobody is meant to read here.
    """
    chosen = f"from ({_NOTED}) where contains(source, $source)"
    rows = lake.rows(
        f"select * {chosen} order by noted_at desc, source, line, reason limit $limit",
        {"source": source, "limit": limit},
    )
    counted = lake.rows(f"select kind, count(*) as n {chosen} group by kind", {"source": source})
    counts = {row["kind"]: row["n"] for row in counted}
    return NotedLines(
        tuple(Noted(**{**row, "noted_at": to_aware_utc(row["noted_at"])}) for row in rows),
        counts.get("reject", 0),
        counts.get("remark", 0),
    )
