"""What of the catalog its own database cannot read, and whether a failure comes of that."""

from __future__ import annotations

from contextlib import closing

import duckdb

from ragdiag.configuration import read_configuration
from ragdiag.errors import RagdiagError, StoreError
from ragdiag.settings import Workspace
from ragdiag.store.catalogs.attachment import catalog_of
from ragdiag.store.catalogs.extensions import connect
from ragdiag.store.catalogs.postgres_catalog import PostgresCatalog
from ragdiag.store.faults import reason, store_faults
from ragdiag.store.upkeep.sqlite_process import find_damage

_OF_A_CATALOG = (
    "copy: error",  # how the server's refusal of a read begins
    "unsuccessful query result",
    "current transaction is aborted",
    "internal error",
    "previous fatal error",
)
"""DuckLake's words for a table that it could not read; some name neither table nor reason."""


def find_catalog_damage(workspace: Workspace) -> list[StoreError]:
    """One error for each part of the catalog that cannot be read; empty where all can.

    SQLite checks its file; of a PostgreSQL catalog every table is read whole, by a DuckDB of its
    own, since such a table can end the lake's for good. Raises StoreError where the server does
    not answer.
    """
    table = read_configuration(workspace).lake
    place = catalog_of(workspace, table).place
    if table.postgres is None:
        damage = find_damage(workspace.catalog)
        return [] if damage is None else [_damaged(place, damage, "")]
    catalog = PostgresCatalog(table.postgres, str(workspace.configuration))
    with (
        store_faults(workspace),
        closing(connect(workspace, with_postgres=True)) as connection,
    ):
        catalog.connect(connection)
        unread = catalog.find_unreadable()
    return [
        _damaged(
            place, f"{name} cannot be read: {reason(error)}", " into another schema and data_path"
        )
        for name, error in unread.items()
    ]


def damaged_catalog_error(error: BaseException, workspace: Workspace) -> StoreError | None:
    """One line that names the table of a PostgreSQL catalog behind ``error``; None where every
    table can be read. (What SQLite says of its own file names it.)"""
    if not any(phrase in str(error).lower() for phrase in _OF_A_CATALOG):
        return None
    try:
        if read_configuration(workspace).lake.postgres is None:
            return None
        found = find_catalog_damage(workspace)
    except (duckdb.Error, RagdiagError):
        return None
    return found[0] if found else None


def _damaged(place: str, damage: str, where: str) -> StoreError:
    return StoreError(
        f"the catalog {place} is damaged ({damage})",
        remedy=f"restore a backup{where} (ragdiag store restore)",
    )
