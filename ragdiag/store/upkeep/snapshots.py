"""Named snapshots: the ones that reports name, which no clean-up may take.

DuckLake makes a snapshot of every commit. Compaction expires old ones, but never a named one, so
``PastLake(lake, named.snapshot)`` gives a report the same numbers again. Whoever asks for one gives
its name, its number or a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import duckdb

from ragdiag.errors import InputError, StoreError, UnknownName
from ragdiag.store.lake import Lake
from ragdiag.store.times import now_utc, to_aware_utc


@dataclass(frozen=True, slots=True)
class NamedSnapshot:
    name: str
    snapshot: int
    reason: str
    named_at: datetime


def name_snapshot(
    lake: Lake, name: str, reason: str = "", snapshot: int | None = None
) -> NamedSnapshot:
    """Keep a snapshot (the newest, where none is given) under a name until it is dropped.

    Raises InputError where the name is taken, StoreError where the snapshot has expired.
    """
    chosen = lake.snapshot() if snapshot is None else snapshot

    def keep(cursor: duckdb.DuckDBPyConnection) -> None:
        if chosen not in snapshot_ids(cursor):
            raise StoreError(
                f"snapshot {chosen} has expired, or never was",
                remedy="name one that is listed by: ragdiag store snapshots",
            )
        taken = cursor.execute(
            "select snapshot_id from named_snapshots where name = ?", [name]
        ).fetchone()
        if not name.strip() or taken:
            raise InputError(
                f"the name {name!r} {'is taken' if taken else 'is empty'}",
                remedy="choose another, or drop it first (ragdiag store unname)",
            )
        cursor.execute(
            "insert into named_snapshots values (?, ?, ?, ?)", [name, chosen, reason, now_utc()]
        )

    lake.write(keep)
    return next(one for one in named_snapshots(lake) if one.name == name)


def named_snapshots(lake: Lake) -> list[NamedSnapshot]:
    """Every named snapshot, oldest first."""
    rows = lake.rows(
        "select name, snapshot_id as snapshot, reason, named_at from named_snapshots "
        "order by snapshot_id, name"
    )
    return [NamedSnapshot(**{**row, "named_at": to_aware_utc(row["named_at"])}) for row in rows]


def snapshot_ids(cursor: duckdb.DuckDBPyConnection) -> list[int]:
    """Every snapshot that can still be read, oldest first."""
    rows = cursor.execute(
        "select snapshot_id from ducklake_snapshots('lake') order by snapshot_id"
    ).fetchall()
    return [int(row[0]) for row in rows]


def snapshot_times(lake: Lake) -> dict[int, datetime]:
    """When each snapshot that can still be read was committed (UTC), oldest first."""
    rows = lake.rows(
        "select snapshot_id as id, timezone('UTC', snapshot_time) as at "
        "from ducklake_snapshots('lake') order by snapshot_id"
    )
    return {row["id"]: to_aware_utc(row["at"]) for row in rows}


def find_snapshot(lake: Lake, asked: str) -> int:
    """The snapshot of a name, of a number, or of a time: what the lake was then, or at the end of
    a day. Times are ISO 8601, and of UTC where they do not say otherwise; a name comes first.

    Raises UnknownName, saying what can be read, also for a time whose own snapshot has expired: an
    older one that has a name is not what the lake was then.
    """
    named = {one.name: one.snapshot for one in named_snapshots(lake)}
    if asked in named:
        return named[asked]
    times = snapshot_times(lake)
    if asked.isdecimal() and int(asked) in times:
        return int(asked)
    moment = None if asked.isdecimal() else _read_moment(asked)
    earlier = [number for number, at in times.items() if moment is not None and at <= moment]
    if earlier and (earlier[-1] + 1 in times or earlier[-1] == max(times)):
        return earlier[-1]
    first = min(times)
    raise UnknownName(
        f"there is no snapshot {asked!r}, or it has expired",
        remedy=f"give a name ({', '.join(named) or 'none has one'}), a number from {first} to "
        f"{max(times)}, or a time from {times[first]:%Y-%m-%dT%H:%M:%S}Z on; those between that "
        "have no name may have expired (docs/store.md)",
    )


def _read_moment(text: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), datetime.max.time(), UTC)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def drop_names(lake: Lake, names: list[str]) -> None:
    """Take the names away, so that the next clean-up may take the snapshots. Raises UnknownName,
    listing the names there are."""
    there = {one.name for one in named_snapshots(lake)}
    for name in names:
        if name not in there:
            raise UnknownName(
                f"no snapshot is named {name!r}",
                remedy=f"name one of: {', '.join(sorted(there))}" if there else "there are none",
            )
    lake.write(
        lambda cursor: cursor.execute(
            "delete from named_snapshots where name in (select unnest(?::varchar[]))", [names]
        )
    )
