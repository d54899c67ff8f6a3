"""Time travel: the whole lake as one snapshot has it, so that a report can be made again.

A snapshot is read as long as nothing expires it; give it a name (snapshots.py) to keep it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TypeVar

import duckdb

from ragdiag.errors import StoreError
from ragdiag.interrupts import interruptible
from ragdiag.store.catalogs.attachment import attach_statement
from ragdiag.store.cursors import Cursors
from ragdiag.store.lake import Lake
from ragdiag.store.upkeep.datafiles import CATALOG

T = TypeVar("T")

_numbers = itertools.count()


class PastLake(Lake):
    """The lake at ``snapshot``: its reads are those of :class:`Lake`, its writes are refused.

    Close it after use. Raises StoreError where the snapshot has expired, or never was.
    """

    def __init__(self, lake: Lake, snapshot: int) -> None:
        super().__init__(lake.workspace, lake._connection, lake._table, lake._catalog, "")
        self._present = lake
        self._snapshot = snapshot
        self._database = ""
        self._look_again()

    def _retried(self, call: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """DuckLake 1.0 looks for small rows where they lay when the snapshot was attached; with a
        catalog in PostgreSQL the whole process's DuckDB dies where they have gone since."""
        if self._present.read(_newest_schema) != self._schema:
            self._look_again()
        return super()._retried(call)

    def _look_again(self) -> None:
        """Attach the snapshot under a new name: nothing less asks the catalog of it anew."""
        self.close()
        self._schema = self._present.read(_newest_schema)
        self._database = f"lake_at_{self._snapshot}_{next(_numbers)}"
        self._cursors = Cursors(self._connection, self._database)
        option = f"snapshot_version {self._snapshot}"
        try:
            with interruptible(), self._connection.cursor() as cursor:
                cursor.execute(
                    attach_statement(
                        self.workspace, self._table, self._catalog, self._database, option
                    )
                )
                cursor.execute(f"select 1 from {self._database}.migrations limit 1")
        except duckdb.Error as error:
            self.close()
            raise self.fault(error) or error from None

    def write(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        raise StoreError(
            f"snapshot {self._snapshot} is in the past", remedy="write to the lake itself"
        )

    def snapshot(self) -> int:
        return self._snapshot

    def close(self) -> None:
        """Let the snapshot go; the connection is that of the lake itself, and stays open."""
        self._cursors.close()
        if not self._database:
            return
        with suppress(duckdb.Error), self._connection.cursor() as cursor:
            cursor.execute(f"detach database if exists {self._database}")

    def fault(self, error: duckdb.Error) -> StoreError | None:
        if "no snapshot found" in str(error).lower():
            return StoreError(
                f"snapshot {self._snapshot} has expired, or never was",
                remedy="make the report again from the present; next time name its snapshot first "
                "(ragdiag store name)",
            )
        return super().fault(error) or self._older_tables(error)

    def _older_tables(self, error: duckdb.Error) -> StoreError | None:
        """Where the snapshot lacks what a later ragdiag has added and asks for."""
        if not isinstance(error, duckdb.BinderException | duckdb.CatalogException):
            return None
        if self._migrations(self._database) == self._migrations("lake"):
            return None
        return StoreError(
            f"snapshot {self._snapshot} has the tables of an earlier ragdiag, which this one "
            "cannot report on",
            remedy="give a snapshot of after the upgrade",
        )

    def _migrations(self, database: str) -> int:
        """0 of a snapshot of before there were any tables."""
        try:
            with self._connection.cursor() as cursor:
                return len(cursor.execute(f"select 1 from {database}.migrations").fetchall())
        except duckdb.Error:
            return 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _newest_schema(cursor: duckdb.DuckDBPyConnection) -> int:
    """Of the present; compaction changes it whenever it takes places of small rows away."""
    row = cursor.execute(f"select max(schema_version) from {CATALOG}.ducklake_snapshot").fetchone()
    return int(row[0]) if row else 0
