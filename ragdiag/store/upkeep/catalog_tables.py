"""A DuckLake catalog's tables carried from PostgreSQL to SQLite, or back, row by row.

DuckLake 1.0 keeps the same tables by the same names in either, and makes an empty catalog of its
own; the rows are put into that. What differs is types: SQLite has whole numbers and text, and
PostgreSQL keeps the text of small inserts as bytes. The tables of small inserts, one for each set
of columns that a table has had, are made here as DuckLake makes them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import duckdb

from ragdiag.errors import StoreError
from ragdiag.store.catalogs.secrets import named

Kind = Literal["sqlite", "postgres"]

_SMALL_ROWS = "ducklake_inlined_"

_TYPES: Mapping[Kind, Mapping[str, str]] = {
    "sqlite": dict.fromkeys(("boolean", "int8", "int16", "int32", "int64"), "bigint"),
    "postgres": {
        "varchar": "blob",
        "boolean": "boolean",
        "int8": "smallint",
        "int16": "smallint",
        "int32": "integer",
        "int64": "bigint",
        "float32": "float",
        "float64": "double",
    },
}
"""DuckLake's type of a column → its type among small rows. All others are text: times, lists."""


def carry_tables(cursor: duckdb.DuckDBPyConnection, source: str, target: str, kind: Kind) -> None:
    """Within the caller's transaction, make the catalog ``target`` (empty, of that ``kind``) equal
    to ``source``; both are names of attached databases of which the catalog is the only schema.

    Raises StoreError where DuckLake's own tables are not those that ``target`` has.
    """
    given, there = _columns(cursor, source), _columns(cursor, target)
    described = _described(cursor, source)
    for table, columns in given.items():
        if table.startswith(_SMALL_ROWS) and table not in there:
            made = {
                name: _TYPES[kind].get(described.get((table, name), "int64"), "varchar")
                for name in columns
            }
            listed = ", ".join(f"{named(name)} {made[name]}" for name in made)
            cursor.execute(f"create table {target}.{named(table)} ({listed})")
            there[table] = made
        if missing := columns.keys() - there.get(table, {}).keys():
            raise StoreError(
                f"the catalog has {table}.{min(missing)}, which the DuckLake here does not know",
                remedy="use the ragdiag that wrote it",
            )
    for table, columns in given.items():
        cursor.execute(f"delete from {target}.{named(table)}")
        values = ", ".join(
            _converted(named(name), was.lower(), there[table][name].lower())
            for name, was in columns.items()
        )
        cursor.execute(
            f"insert into {target}.{named(table)} ({', '.join(map(named, columns))}) "
            f"select {values} from {source}.{named(table)}"
        )


def _columns(cursor: duckdb.DuckDBPyConnection, database: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in cursor.execute(
        "select table_name, column_name, data_type from duckdb_columns() "
        "where database_name = ? and starts_with(table_name, 'ducklake_') order by column_index",
        [database],
    ).fetchall():
        found.setdefault(table, {})[column] = kind
    return found


def _described(cursor: duckdb.DuckDBPyConnection, database: str) -> dict[tuple[str, str], str]:
    """Table of small rows and column → DuckLake's type of it. No migration changes a type."""
    return {
        (table, column): kind
        for table, column, kind in cursor.execute(
            f"select i.table_name, c.column_name, c.column_type "
            f"from {database}.ducklake_inlined_data_tables i "
            f"join {database}.ducklake_column c using (table_id) where c.parent_column is null"
        ).fetchall()
    }


def _converted(name: str, was: str, becomes: str) -> str:
    if was == becomes:
        return name
    if (was, becomes) == ("blob", "varchar"):
        return f"decode({name})"
    if (was, becomes) == ("varchar", "blob"):
        return f"encode({name})"
    return f"cast({name} as {becomes})"
