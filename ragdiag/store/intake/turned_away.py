"""Requests that are turned away because of their user, and what hangs on them: it names nobody, so
the tombstones of its requests must tell whose it is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ragdiag.settings import Workspace
from ragdiag.store.intake.screened_blocks import find_requests_of_forgotten
from ragdiag.store.upkeep.forgotten import add_forgotten, request_tombstone
from ragdiag.store.upkeep.removal import remove_requests
from ragdiag.store.upkeep.user_traces import REASON


def forget_arriving(
    cursor: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    forgotten: frozenset[str],
    arriving: pa.Table,
) -> frozenset[str]:
    """:func:`forget_requests` for those rows of ``arriving`` (request_id, user_key) whose user was
    forgotten, and whose id no other row has."""
    if not forgotten:
        return frozenset()
    theirs = find_requests_of_forgotten(workspace, forgotten, arriving)
    ids: Any = pc.unique(arriving["request_id"].filter(theirs))
    if not len(ids):
        return frozenset()
    others = arriving["request_id"].filter(pc.invert(theirs))
    shared = pc.is_in(ids, value_set=others.combine_chunks())
    return forget_requests(cursor, workspace, forgotten, ids.filter(pc.invert(shared)).to_pylist())


def forget_requests(
    cursor: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    forgotten: frozenset[str],
    request_ids: Collection[str],
) -> frozenset[str]:
    """Within the caller's transaction, keep tombstones of these requests, which are turned away,
    and delete what came before them and hangs on them; returns the tombstones that are new.

    Where the lake has a request of the same id it is somebody else's, and stays.
    """
    made = {one: request_tombstone(workspace, one) for one in request_ids}
    fresh = sorted(one for one, tombstone in made.items() if tombstone not in forgotten)
    if not fresh:
        return frozenset()
    stored = cursor.execute(
        "select request_id from requests where request_id in (select unnest(?::varchar[]))", [fresh]
    ).fetchall()
    theirs = sorted(set(fresh) - {request_id for (request_id,) in stored})
    tombstones = frozenset(made[one] for one in theirs)
    if theirs:
        add_forgotten(cursor, tombstones)
        remove_requests(cursor, theirs, REASON)
    return tombstones
