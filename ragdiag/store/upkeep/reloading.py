"""Rows of files that are set aside, to be loaded again from the spool archive.

Which rows such a file has cannot be read any more, so the ledger says which segments may have
brought them. Those that the archive still has leave the ledger; ingest then passes over every row
that is there and adds those that are not. What was read from traces, or found out by jobs, no
segment has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import duckdb

from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.times import now_utc
from ragdiag.store.upkeep.archive import archived_segments, return_unloaded
from ragdiag.store.upkeep.aside import list_aside, name_before
from ragdiag.store.upkeep.ledger import TABLES, Gap, find_gaps, set_aside_reason
from ragdiag.store.upkeep.snapshots import drop_names

KINDS = ("request", "feedback", "grade", "passage")
"""A span leaves the lake when its trace is read: a segment does not tell which still waited."""

RELOADED = frozenset(TABLES[kind] for kind in KINDS)


def return_lost(lake: Lake, workspace: Workspace) -> list[str]:
    """As :func:`return_unloaded`, and the archived segments whose rows are in files that are set
    aside. Returns the names of all.

    A file whose segments all go back is set aside no longer, but gone. Requests that had left
    such a segment for their age come back too; ``store expire`` takes them again.
    """
    archived = frozenset(archived_segments(workspace))
    tables = {one.table for one in list_aside(lake)}
    kinds = [kind for kind in KINDS if TABLES[kind] in tables]
    if kinds:
        given_up = lake.write(lambda cursor: _release(cursor, kinds, archived))
        drop_names(lake, [name_before(name) for name in given_up])
    return return_unloaded(lake, workspace)


def _release(
    cursor: duckdb.DuckDBPyConnection, kinds: Collection[str], archived: frozenset[str]
) -> list[str]:
    """Take the segments out of the ledger; the files that none of their rows needs any more."""
    short = [gap for gap in find_gaps(cursor) if gap.kind in kinds and gap.found < gap.expected]
    sources = {kind: _sources(cursor, kind, short) for kind in kinds}
    released = sorted(archived & frozenset().union(*sources.values()))
    for gap in short:
        if sources[gap.kind] & archived and (not gap.segment or gap.segment in archived):
            cursor.execute(
                "insert into removals values (?, ?, ?, ?, ?)",
                [
                    gap.segment,
                    gap.kind,
                    gap.expected - gap.found,
                    set_aside_reason(TABLES[gap.kind]),
                    now_utc(),
                ],
            )
    for table, column in (("segments", "segment"), ("rejects", "source")):
        cursor.execute(
            f"delete from {table} where {column} in (select unnest(?::varchar[]))", [released]
        )
    return _give_up(cursor, sources, archived)


def _sources(cursor: duckdb.DuckDBPyConnection, kind: str, short: list[Gap]) -> frozenset[str]:
    """The segments that may have brought the missing rows of a kind."""
    named = [gap.segment for gap in short if gap.kind == kind]
    if "" not in named:
        return frozenset(named)
    rows = cursor.execute(
        "select distinct segment from segment_counts where kind = ? and accepted > 0", [kind]
    )
    return frozenset(segment for (segment,) in rows.fetchall())


def _give_up(
    cursor: duckdb.DuckDBPyConnection,
    sources: Mapping[str, frozenset[str]],
    archived: frozenset[str],
) -> list[str]:
    """Set aside no longer what the archive has all of; the names of those files."""
    whole = [TABLES[kind] for kind, segments in sources.items() if segments <= archived]
    chosen = "from set_aside where table_name in (select unnest(?::varchar[]))"
    names = [name for (name,) in cursor.execute(f"select name {chosen}", [whole]).fetchall()]
    cursor.execute(f"delete {chosen}", [whole])
    return names
