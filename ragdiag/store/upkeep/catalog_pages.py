"""A catalog on a database server, read whole: the server says which of its pages is damaged."""

from __future__ import annotations

import duckdb

from ragdiag.store.catalogs.secrets import named
from ragdiag.store.faults import reason
from ragdiag.store.upkeep.datafiles import CATALOG


def find_unreadable(cursor: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Each table of the catalog that cannot be read to its end, and why."""
    tables = cursor.execute(
        "select table_name from duckdb_tables() where database_name = ? "
        "and starts_with(table_name, 'ducklake_') order by table_name",
        [CATALOG],
    ).fetchall()
    found = []
    for (table,) in tables:
        try:
            cursor.execute(f"select count(hash(t)) from {CATALOG}.{named(table)} t").fetchall()
        except duckdb.Error as error:
            found.append((table, reason(error)))
    return found
