"""What was refused, and what was loaded although it is odd: both with source, line and reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

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
