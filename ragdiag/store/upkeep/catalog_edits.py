"""The few changes to DuckLake's catalog that DuckLake has no function for.

All go through DuckDB, so they hold for any catalog, and each runs in a transaction of its own (a
transaction writes to the lake or to its catalog, not to both).
"""

from __future__ import annotations

import duckdb

from ragdiag.store.upkeep.datafiles import CATALOG

_TYPES = {
    "int8": "tinyint",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "uint8": "utinyint",
    "uint16": "usmallint",
    "uint32": "uinteger",
    "uint64": "ubigint",
    "float32": "float",
    "float64": "double",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "date": "date",
    "boolean": "boolean",
}
"""DuckLake's column types whose order is not that of their text."""

GREATEST_TEXT = "\U0010ffff" * 4


def add_snapshot(cursor: duckdb.DuckDBPyConnection, changes: str, message: str) -> int:
    """A snapshot of its own in the catalog; its number. The catalog's primary key refuses it
    where another machine's commit was quicker. The next file's number moves on too: DuckLake
    keeps a table's statistics in memory by it."""
    row = cursor.execute(f"select max(snapshot_id) + 1 from {CATALOG}.ducklake_snapshot").fetchone()
    new = int(row[0]) if row else 0
    cursor.execute(
        f"insert into {CATALOG}.ducklake_snapshot select ?, now(), schema_version, "
        f"next_catalog_id, next_file_id + 1 from {CATALOG}.ducklake_snapshot "
        "where snapshot_id = ?",
        [new, new - 1],
    )
    cursor.execute(
        f"insert into {CATALOG}.ducklake_snapshot_changes values (?, ?, 'ragdiag', ?, null)",
        [new, changes, message],
    )
    return new


def widen_bounds(cursor: duckdb.DuckDBPyConnection) -> int:
    """Let the least and greatest value that the catalog has of every column cover every file that
    some snapshot still needs; returns how many columns changed.

    DuckLake 1.0 keeps one pair of bounds a column, for all snapshots, and rewriting files sets it
    to what is there now: a filter on an older snapshot then finds nothing outside of it, although
    the rows are there.
    """
    narrow = []
    for kind, sql in [*_TYPES.items(), ("varchar", "varchar")]:
        narrow += cursor.execute(
            f"""
            with covered as (
                select s.table_id, s.column_id,
                       arg_min(s.min_value, try_cast(s.min_value as {sql})) as low,
                       arg_max(s.max_value, try_cast(s.max_value as {sql})) as high
                from {CATALOG}.ducklake_file_column_stats s
                join (select distinct table_id, column_id, column_type
                      from {CATALOG}.ducklake_column) c using (table_id, column_id)
                where c.column_type = '{kind}' group by all)
            select t.table_id, t.column_id,
                   case when try_cast(low as {sql}) < try_cast(t.min_value as {sql})
                        then low else t.min_value end as new_low,
                   case when try_cast(high as {sql}) > try_cast(t.max_value as {sql})
                        then high else t.max_value end as new_high
            from {CATALOG}.ducklake_table_column_stats t join covered using (table_id, column_id)
            where new_low is distinct from t.min_value or new_high is distinct from t.max_value"""
        ).fetchall()
    for table_id, column_id, low, high in narrow:
        cursor.execute(
            f"update {CATALOG}.ducklake_table_column_stats set min_value = ?, max_value = ? "
            "where table_id = ? and column_id = ?",
            [low, high, table_id, column_id],
        )
    if narrow:
        tables = sorted({table_id for table_id, *_ in narrow})
        changes = ",".join(f"merge_adjacent:{table_id}" for table_id in tables)
        add_snapshot(cursor, changes, "bounds of columns cover every snapshot again")
    return len(narrow)


def empty_bounds(cursor: duckdb.DuckDBPyConnection) -> int:
    """Let the bounds of every text column be the least and the greatest text there is; returns
    how many columns changed.

    Bounds are whole values, and DuckLake 1.0 keeps them when the file that they came from goes.
    Not null: it would take the next insert's values for the bounds of all, and rows that are there
    would not be found. Each file keeps bounds of its own, which filters go by.
    """
    texts = f"""(table_id, column_id) in (
        select (table_id, column_id) from {CATALOG}.ducklake_column where column_type = 'varchar')
        and (min_value <> '' or max_value <> '{GREATEST_TEXT}')"""
    stats = f"{CATALOG}.ducklake_table_column_stats"
    telling = cursor.execute(f"select table_id from {stats} where {texts}").fetchall()
    if telling:
        cursor.execute(
            f"update {stats} set min_value = '', max_value = '{GREATEST_TEXT}' where {texts}"
        )
        tables = sorted({table_id for (table_id,) in telling})
        changes = ",".join(f"merge_adjacent:{table_id}" for table_id in tables)
        add_snapshot(cursor, changes, "bounds of text columns tell nothing")
    return len(telling)


def look_again(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make every process ask the catalog anew where the rows of small inserts lie.

    DuckLake 1.0 remembers that by the number of the schema, which a view changes. Compaction drops
    places that it has emptied without changing it, so others would look there for ever.
    """
    cursor.execute("create or replace view last_compaction as select 1 as compacted")
