"""The lake: DuckDB over a DuckLake, read and written by many threads and processes at once.

One connection per process and catalog, a cursor per call (a connection shared between threads
gives wrong rows). The catalog is SQLite in WAL beside encrypted Parquet; its file holds the keys,
so its mode is 0600. Writers of one machine take turns by a file lock, so that what a transaction
has checked still holds when it commits; DuckLake itself lets two inserts pass each other.
Timestamps are naive UTC: convert with times.py.
"""

from __future__ import annotations

import atexit
import errno
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from ragdiag.errors import RagdiagError, StoreBusy, StoreError
from ragdiag.settings import Workspace
from ragdiag.store.damage import damaged_file_error
from ragdiag.store.extensions import connect
from ragdiag.store.faults import is_transient, store_error
from ragdiag.store.known_backups import refuse_lost_catalog
from ragdiag.store.locks import locked
from ragdiag.store.migrations import migrate

T = TypeVar("T")
Parameters = Sequence[Any] | Mapping[str, Any]

PATIENCE_S = 60.0
"""How long a call waits for other writers before it gives up with StoreBusy."""

_lakes: dict[tuple[int, str], Lake] = {}
_opening = threading.Lock()


class Lake:
    """One open lake. Every method may be called from any thread."""

    def __init__(
        self, workspace: Workspace, connection: duckdb.DuckDBPyConnection, database: str = "lake"
    ) -> None:
        self.workspace = workspace
        self._connection = connection
        self._database = database
        self._identity = _identity(workspace)

    def rows(self, sql: str, params: Parameters = ()) -> list[dict[str, Any]]:
        """The result as dictionaries, column name → value."""

        def read(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
            result = cursor.execute(sql, _bindings(params))
            names = [column[0] for column in result.description or ()]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

        return self._retried(read)

    def table(self, sql: str, params: Parameters = ()) -> pa.Table:
        """The result as an Arrow table."""
        return self._retried(lambda cursor: cursor.execute(sql, _bindings(params)).to_arrow_table())

    def read(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """What ``work`` reads with a cursor that uses the lake; it may run more than once."""
        return self._retried(work)

    def write(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Run ``work`` in one transaction and return what it returns; all of it or nothing.

        ``work`` gets a cursor that uses the lake. It may run more than once, after a rollback
        each time, so it must not change anything but the lake; it must not call ``write``.
        Raises StoreBusy, StoreFull or another StoreError; what ``work`` itself raises passes
        through.
        """
        with self.turn():
            return self.transact(work)

    def transact(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """As :meth:`write`, for a caller that has the turn already."""

        def transaction(cursor: duckdb.DuckDBPyConnection) -> T:
            cursor.execute("begin")
            try:
                result = work(cursor)
                cursor.execute("commit")
            except BaseException:
                with suppress(duckdb.Error):
                    cursor.execute("rollback")
                raise
            return result

        return self._retried(transaction)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep the other writers of this machine out; within it, ``rows`` may change the lake
        where a change cannot share a transaction, and ``write`` must not be called."""
        deadline = time.monotonic() + PATIENCE_S
        with locked(self.workspace.catalog.with_name("write.lock"), deadline):
            yield

    def fault(self, error: duckdb.Error) -> StoreError | None:
        """The store's failure that ``error`` tells of; None where it is a defect of the caller."""
        return damaged_file_error(error, self._connection) or store_error(error, self.workspace)

    def snapshot(self) -> int:
        """The number of the lake's newest snapshot: what a report made now was made from."""
        return int(self.rows("select id from lake.current_snapshot()")[0]["id"])

    def close(self) -> None:
        self._connection.close()

    @property
    def is_current(self) -> bool:
        """Whether the catalog on disk is still the file that was opened."""
        return self._identity == _identity(self.workspace)

    def _retried(self, call: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        deadline = time.monotonic() + PATIENCE_S
        pause = 0.01
        while True:
            try:
                with self._connection.cursor() as cursor:
                    cursor.execute(f"use {self._database}")
                    return call(cursor)
            except duckdb.Error as error:
                if not is_transient(error):
                    fault = self.fault(error)
                    if fault is None:
                        raise
                    raise fault from error
                if time.monotonic() > deadline:
                    raise StoreBusy(
                        f"other writers hold {self.workspace.catalog} ({error})",
                        remedy="nothing was written: try again when they have finished",
                    ) from error
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 0.5)


def open_lake(workspace: Workspace, *, create: bool = False) -> Lake:
    """The lake of ``workspace``, opened once per process, migrated to the newest schema.

    Raises StoreError where there is no workspace and ``create`` is false or where the catalog
    cannot be read, NewerWorkspace where a later ragdiag wrote it.
    """
    if not workspace.exists:
        refuse_lost_catalog(workspace)
    if not workspace.exists and not create:
        raise StoreError(
            f"there is no workspace in {workspace.root}",
            remedy="build the demo (ragdiag demo) or import your own (ragdiag import)",
        )
    key = (os.getpid(), str(workspace.catalog.resolve()))
    with _opening:
        lake = _lakes.get(key)
        if lake is None or not lake.is_current:
            # A replaced lake is not closed here: another thread may still be reading from it.
            lake = _lakes[key] = _open(workspace)
        return lake


def close_lakes(only: Workspace | None = None) -> None:
    """Close what this process opened, of one workspace or of all; a later :func:`open_lake` opens
    again."""
    with _opening:
        for key in [key for key in _lakes if key[0] == os.getpid()]:
            if only is None or key[1] == str(only.catalog.resolve()):
                _lakes.pop(key).close()


def _open(workspace: Workspace) -> Lake:
    """Attach and migrate, one process at a time, so that two creators make one catalog."""
    connection = connect(workspace)
    try:
        with _creation_turn(workspace):
            _make_catalog(workspace)
            connection.execute(attach_statement(workspace, "lake"))
            connection.execute("use lake")
            migrate(connection)
    except BaseException as error:
        connection.close()
        if isinstance(error, RagdiagError) or not isinstance(error, (duckdb.Error, OSError)):
            raise
        raise store_error(error, workspace) or StoreError(
            f"cannot open the catalog {workspace.catalog} ({error})",
            remedy="restore it from a backup, or name another workspace with --workspace",
        ) from error
    return Lake(workspace, connection)


def attach_statement(workspace: Workspace, name: str, *options: str) -> str:
    """The SQL that attaches the lake of ``workspace`` as the database ``name``."""
    catalog, data = (
        str(path).replace("'", "''") for path in (workspace.catalog, workspace.lake_data)
    )
    every = ", ".join([f"data_path '{data}'", "encrypted", "override_data_path true", *options])
    return f"attach 'ducklake:sqlite:{catalog}' as {name} ({every})"


@contextmanager
def _creation_turn(workspace: Workspace) -> Iterator[None]:
    workspace.catalog.parent.mkdir(parents=True, exist_ok=True)
    with locked(workspace.catalog.with_name("open.lock"), time.monotonic() + PATIENCE_S):
        yield


def _make_catalog(workspace: Workspace) -> None:
    """An empty SQLite file of mode 0600 in WAL; without WAL readers lock out writers."""
    try:
        os.close(os.open(workspace.catalog, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if workspace.catalog.stat().st_size:
            return
    try:
        with closing(sqlite3.connect(workspace.catalog)) as catalog:
            catalog.execute("pragma journal_mode=wal")
    except sqlite3.Error as error:
        code = errno.ENOSPC if "full" in str(error) else errno.EIO
        raise OSError(code, str(error), str(workspace.catalog)) from error


def _bindings(params: Parameters) -> Any:
    return dict(params) if isinstance(params, Mapping) else list(params)


def _identity(workspace: Workspace) -> tuple[int, int] | None:
    try:
        found = workspace.catalog.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


atexit.register(close_lakes)
