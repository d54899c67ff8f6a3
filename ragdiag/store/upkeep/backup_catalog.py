"""The catalog of a backup: a SQLite file that holds one moment of the workspace's catalog.

A SQLite catalog is copied by SQLite itself. One in PostgreSQL is read table by table in a single
repeatable-read transaction. Neither keeps anybody from writing.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ragdiag.backends import PostgresTable
from ragdiag.configuration import read_configuration
from ragdiag.settings import Workspace
from ragdiag.store.catalogs.attachment import attach_statement
from ragdiag.store.catalogs.extensions import connect
from ragdiag.store.catalogs.postgres_catalog import PostgresCatalog
from ragdiag.store.catalogs.secrets import quoted
from ragdiag.store.catalogs.sqlite_catalog import SqliteCatalog
from ragdiag.store.disk import disk_faults
from ragdiag.store.faults import store_faults
from ragdiag.store.upkeep.catalog_tables import carry_tables
from ragdiag.store.upkeep.datafiles import CATALOG, DataFile, list_files
from ragdiag.store.upkeep.snapshots import snapshot_ids
from ragdiag.store.upkeep.sqlite_process import copy_database


@dataclass(frozen=True, slots=True)
class CatalogCopy:
    """``snapshot`` is the newest it has, ``named`` the older ones, ``files`` what they need."""

    path: Path
    snapshot: int
    named: dict[str, int]
    files: list[DataFile]


def copy_catalog(workspace: Workspace, target: Path) -> CatalogCopy:
    """The catalog as it is at one moment, without the snapshots that are neither the newest nor
    named."""
    postgres = read_configuration(workspace).lake.postgres
    if postgres is None:
        _copy_sqlite(workspace, target)
    else:
        _copy_postgres(workspace, postgres, target)
    return _prune(workspace, target)


def _copy_sqlite(workspace: Workspace, target: Path) -> None:
    with disk_faults(target):
        os.close(os.open(target, os.O_CREAT | os.O_RDWR, 0o600))
        fault = copy_database(workspace.catalog, target)
        if fault is not None:
            raise _disk_fault(fault)


def _copy_postgres(workspace: Workspace, postgres: PostgresTable, target: Path) -> None:
    made = SqliteCatalog(target)
    made.prepare()
    catalog = PostgresCatalog(postgres, str(workspace.configuration))
    with (
        store_faults(workspace),
        closing(connect(workspace, with_postgres=True)) as connection,
        connection.cursor() as cursor,
    ):
        catalog.connect(connection)
        catalog.attach_tables(
            connection, "given", "read_only", f"schema {quoted(postgres.catalog_schema)}"
        )
        table = read_configuration(workspace).lake
        cursor.execute(attach_statement(workspace, table, made, "made"))
        cursor.execute("detach made")
        cursor.execute(f"attach {quoted(str(target))} as taken (type sqlite)")
        cursor.execute("begin")
        carry_tables(cursor, "given", "taken", "sqlite")
        cursor.execute("commit")


def _prune(workspace: Workspace, catalog: Path) -> CatalogCopy:
    """Expire, in the copy, what is neither the newest snapshot nor a named one. No data file is
    touched."""
    table = read_configuration(workspace).lake
    with closing(connect(workspace)) as connection, connection.cursor() as cursor:
        cursor.execute(attach_statement(workspace, table, SqliteCatalog(catalog), "lake"))
        cursor.execute("use lake")
        there = snapshot_ids(cursor)
        named = dict(cursor.execute("select name, snapshot_id from named_snapshots").fetchall())
        gone = sorted(set(there) - {there[-1], *named.values()})
        if gone:
            cursor.execute(
                f"select count(*) from (select snapshot_id from "
                f"ducklake_expire_snapshots('lake', versions => {gone}))"
            ).fetchall()
        cursor.execute(f"delete from {CATALOG}.ducklake_files_scheduled_for_deletion")
        files = list_files(cursor)
    with disk_faults(catalog):
        try:
            with closing(sqlite3.connect(catalog)) as copied:
                copied.execute("pragma wal_checkpoint(truncate)")
                copied.execute("vacuum")
        except sqlite3.OperationalError as error:
            raise _disk_fault(str(error)) from None
    return CatalogCopy(catalog, there[-1], named, files)


def _disk_fault(said: str) -> OSError:
    """What SQLite says of a disk, as the operating system would."""
    return OSError(errno.ENOSPC if "full" in said else errno.EIO, said)
