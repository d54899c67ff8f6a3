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
from ragdiag.store.lake import Lake, attach_statement

T = TypeVar("T")

_numbers = itertools.count()


class PastLake(Lake):
    """The lake at ``snapshot``: its reads are those of :class:`Lake`, its writes are refused.

    Close it after use. Raises StoreError where the snapshot has expired, or never was.
    """

    def __init__(self, lake: Lake, snapshot: int) -> None:
        name = f"lake_at_{snapshot}_{next(_numbers)}"
        super().__init__(lake.workspace, lake._connection, lake._table, lake._catalog, name)
        self._snapshot = snapshot
        option = f"snapshot_version {snapshot}"
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(
                    attach_statement(self.workspace, self._table, self._catalog, name, option)
                )
                cursor.execute(f"select 1 from {name}.migrations limit 1")
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
        with suppress(duckdb.Error), self._connection.cursor() as cursor:
            cursor.execute(f"detach database if exists {self._database}")

    def fault(self, error: duckdb.Error) -> StoreError | None:
        if "no snapshot found" in str(error).lower():
            return StoreError(
                f"snapshot {self._snapshot} has expired, or never was",
                remedy="make the report again from the present; next time name its snapshot first "
                "(ragdiag store name)",
            )
        return super().fault(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
