"""Cursors that already use a database, kept for the next call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import duckdb


class Cursors:
    """Cursors of ``connection`` that use ``database``, for calls from any thread.

    To use a lake asks its catalog, which takes as long as a third of a small query; so what a call
    has done with serves a later one. Close them before the connection, or it stays open.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, database: str) -> None:
        self._connection = connection
        self._database = database
        self._idle: list[duckdb.DuckDBPyConnection] | None = []

    @contextmanager
    def lend(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor that nobody else has meanwhile; after an error it serves nobody again."""
        cursor = self._take()
        try:
            yield cursor
        except BaseException:
            cursor.close()
            raise
        self._put_back(cursor)

    def close(self) -> None:
        """Close the idle ones now, and those that are lent when they come back."""
        idle, self._idle = self._idle, None
        for cursor in idle or ():
            cursor.close()

    def _take(self) -> duckdb.DuckDBPyConnection:
        with suppress(IndexError):
            return (self._idle or []).pop()
        cursor = self._connection.cursor()
        try:
            cursor.execute(f"use {self._database}")
        except BaseException:
            cursor.close()
            raise
        return cursor

    def _put_back(self, cursor: duckdb.DuckDBPyConnection) -> None:
        with suppress(duckdb.Error):
            # A result that was not read to the end would hold what it reads from.
            cursor.execute("select 1").fetchall()
            idle = self._idle
            if idle is not None:
                idle.append(cursor)
                return
        cursor.close()
