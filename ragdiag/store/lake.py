"""The lake: DuckDB over a DuckLake, read and written by many threads and processes at once.

One connection per process and catalog, a cursor for each call (a connection shared between threads
gives wrong rows). The catalog is SQLite beside encrypted Parquet, or what the ``[lake]`` table of
the workspace's configuration says. Writers take turns, and a commit fails, to be tried again with
all its checks, where another one came first: DuckLake itself would let two inserts pass each other.
Timestamps are naive UTC: convert with times.py.
"""

from __future__ import annotations

import atexit
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from ragdiag.backends import LakeTable
from ragdiag.configuration import read_configuration
from ragdiag.errors import NoWorkspace, RagdiagError, StoreError
from ragdiag.interrupts import interruptible
from ragdiag.settings import Workspace
from ragdiag.store.catalogs.attachment import (
    attach_statement,
    catalog_of,
    data_folder,
    list_parquet,
)
from ragdiag.store.catalogs.catalog import Catalog, Turn
from ragdiag.store.catalogs.extensions import connect
from ragdiag.store.catalogs.object_store import check_bucket, open_bucket
from ragdiag.store.cursors import Cursors
from ragdiag.store.faults import (
    is_outdated,
    is_transient,
    reason,
    store_busy,
    store_error,
    store_faults,
)
from ragdiag.store.migrations import is_behind, migrate
from ragdiag.store.upkeep.catalog_damage import damaged_catalog_error
from ragdiag.store.upkeep.catalog_edits import look_again
from ragdiag.store.upkeep.damage import damaged_file_error
from ragdiag.store.upkeep.known_backups import list_backups, lost_catalog_error

T = TypeVar("T")
Parameters = Sequence[Any] | Mapping[str, Any]

PATIENCE_S = 60.0
"""How long a call waits for other writers before it gives up with StoreBusy."""

_lakes: dict[tuple[int, str], Lake] = {}
_opening = threading.Lock()


class Lake:
    """One open lake. Every method may be called from any thread."""

    def __init__(
        self,
        workspace: Workspace,
        connection: duckdb.DuckDBPyConnection,
        table: LakeTable,
        catalog: Catalog,
        database: str = "lake",
    ) -> None:
        self.workspace = workspace
        self._connection = connection
        self._table = table
        self._catalog = catalog
        self._cursors = Cursors(connection, database)
        self._identity = catalog.identity()

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
    def turn(self, kind: Turn = "write") -> Iterator[None]:
        """Keep other writers out; within it, ``rows`` may change the lake where a change cannot
        share a transaction, and ``write`` must not be called. The turn of ``upkeep`` keeps only
        other upkeep out: no backup while files are deleted, on whichever machine."""
        deadline = time.monotonic() + PATIENCE_S
        with store_faults(self.workspace), self._catalog.turn(kind, deadline):
            yield

    def fault(self, error: duckdb.Error) -> StoreError | None:
        """The store's failure that ``error`` tells of; None where it is a defect of the caller."""
        return (
            damaged_file_error(error, self._connection)
            or damaged_catalog_error(error, self.workspace)
            or store_error(error, self.workspace)
        )

    def snapshot(self) -> int:
        """The number of the lake's newest snapshot: what a report made now was made from."""
        return int(self.rows("select id from lake.current_snapshot()")[0]["id"])

    @property
    def place(self) -> str:
        """Where its catalog is, for people; no secret."""
        return self._catalog.place

    def check_data(self) -> None:
        """Raises StoreError where the bucket of the data is missing, denied or out of reach."""
        if self._table.in_bucket:
            with store_faults(self.workspace):
                check_bucket(self._connection, self._table)

    def close(self) -> None:
        self._cursors.close()
        self._connection.close()

    @property
    def is_current(self) -> bool:
        """Whether the workspace still means the catalog that was opened, and DuckDB has not failed
        for good; also true while the catalog's server is away: who reads or writes then hears why.
        """
        if read_configuration(self.workspace).lake != self._table:
            return False
        try:
            with interruptible(), self._connection.cursor() as cursor:
                cursor.execute("select 1")
            return self._identity == self._catalog.identity()
        except duckdb.FatalException:
            return False
        except duckdb.Error:
            return True

    def _retried(self, call: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        deadline = time.monotonic() + PATIENCE_S
        pause = 0.01
        while True:
            try:
                with interruptible(), self._cursors.lend() as cursor:
                    return call(cursor)
            except duckdb.Error as error:
                if not is_transient(error):
                    fault = self.fault(error)
                    if fault is None:
                        raise
                    raise fault from None
                if time.monotonic() > deadline:
                    raise store_busy(error, self.workspace) from None
                if is_outdated(error):
                    self._look_again()
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 0.5)

    def _look_again(self) -> None:
        """Make this process ask the catalog anew where the rows of small inserts lie."""
        with suppress(duckdb.Error), self._connection.cursor() as cursor:
            cursor.execute("use lake")
            look_again(cursor)


def open_lake(workspace: Workspace, *, create: bool = False) -> Lake:
    """The lake of ``workspace``, opened once per process, migrated to the newest schema.

    Raises NoWorkspace where there is none and ``create`` is false, InputError where its
    configuration is wrong, StoreError where the catalog or the place of the data cannot be read,
    NewerWorkspace where a later ragdiag wrote it.
    """
    key = (os.getpid(), str(workspace.root.resolve()))
    with _opening:
        lake = _lakes.get(key)
        if lake is None or not lake.is_current:
            # A replaced lake is not closed here: another thread may still be reading from it.
            with interruptible():
                lake = _lakes[key] = _open(workspace, create)
        return lake


def close_lakes(only: Workspace | None = None) -> None:
    """Close what this process opened, of one workspace or of all; a later :func:`open_lake` opens
    again."""
    with _opening:
        for key in [key for key in _lakes if key[0] == os.getpid()]:
            if only is None or key[1] == str(only.root.resolve()):
                _lakes.pop(key).close()


def _open(workspace: Workspace, create: bool) -> Lake:
    """Attach and migrate, one process at a time, so that two creators make one catalog."""
    table = read_configuration(workspace).lake
    catalog = catalog_of(workspace, table)
    if not create and _is_bare(workspace, table, catalog):
        raise _no_workspace(workspace)
    connection = connect(workspace, with_postgres=table.catalog == "postgres")
    deadline = time.monotonic() + PATIENCE_S
    try:
        catalog.connect(connection)
        if table.in_bucket:
            open_bucket(connection, table, str(workspace.configuration))
        if not create:
            _refuse_none(workspace, table, catalog, connection, create)
        workspace.catalog.parent.mkdir(parents=True, exist_ok=True)
        with catalog.turn("open", deadline):
            _refuse_none(workspace, table, catalog, connection, create)
            catalog.prepare()
            connection.execute(attach_statement(workspace, table, catalog, "lake"))
            connection.execute("use lake")
            if is_behind(connection):
                with catalog.turn("write", deadline):
                    migrate(connection)
        return Lake(workspace, connection, table, catalog)
    except BaseException as error:
        connection.close()
        if isinstance(error, RagdiagError) or not isinstance(error, (duckdb.Error, OSError)):
            raise
        damaged = damaged_catalog_error(error, workspace)
        raise (
            damaged
            or store_error(error, workspace)
            or StoreError(
                f"cannot open the catalog {catalog.place} ({reason(error)})",
                remedy="restore it from a backup, or name another workspace with --workspace",
            )
        ) from None


def _is_bare(workspace: Workspace, table: LakeTable, catalog: Catalog) -> bool:
    """Whether plain files show, before any database is asked, that no lake is or was here."""
    if table.postgres is not None or table.in_bucket or catalog.holds_lake():
        return False
    data = Path(data_folder(workspace, table))
    return not list_backups(workspace) and not any(data.rglob("*.parquet"))


def _refuse_none(
    workspace: Workspace,
    table: LakeTable,
    catalog: Catalog,
    connection: duckdb.DuckDBPyConnection,
    create: bool,
) -> None:
    """Raises where there is no lake: NoWorkspace unless one may be created, StoreError where one
    has been and only its catalog is gone, or where a new one's bucket is out of reach."""
    if catalog.holds_lake():
        return
    if table.in_bucket:
        check_bucket(connection, table)
    data = next(iter(list_parquet(connection, data_folder(workspace, table))), None)
    emptied = catalog.identity() is not None
    if lost := lost_catalog_error(workspace, catalog.place, data, emptied=emptied):
        raise lost
    if not create:
        raise _no_workspace(workspace)


def _no_workspace(workspace: Workspace) -> NoWorkspace:
    return NoWorkspace(
        f"there is no workspace in {workspace.root}",
        remedy="build the demo (ragdiag demo) or import your own (ragdiag import)",
    )


def _bindings(params: Parameters) -> Any:
    """As DuckDB takes them. DuckLake writes compared values into SQL of its own, which a NUL would
    cut short; no stored text has one, so another character finds as little."""
    if isinstance(params, Mapping):
        return {name: _without_nul(value) for name, value in params.items()}
    return [_without_nul(value) for value in params]


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    return [_without_nul(one) for one in value] if isinstance(value, list | tuple) else value


atexit.register(close_lakes)
