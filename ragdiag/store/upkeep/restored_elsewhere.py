"""A restored lake where ``[lake]`` places it: files in a folder or a bucket, the catalog in
PostgreSQL or here.

Nothing that is there is replaced. The files come first, and the catalog last and at once, so a
restore that was interrupted has made no lake.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ragdiag.backends import LakeTable, PostgresTable
from ragdiag.configuration import read_configuration
from ragdiag.errors import InputError, StoreError
from ragdiag.privacy.keys import Keyring
from ragdiag.progress import Progress, report
from ragdiag.settings import Workspace
from ragdiag.store.catalogs.attachment import (
    attach_statement,
    catalog_of,
    data_folder,
    list_parquet,
)
from ragdiag.store.catalogs.catalog import Catalog
from ragdiag.store.catalogs.extensions import connect
from ragdiag.store.catalogs.object_store import check_bucket, open_bucket
from ragdiag.store.catalogs.postgres_catalog import PostgresCatalog
from ragdiag.store.catalogs.secrets import named, quoted
from ragdiag.store.catalogs.sqlite_catalog import SqliteCatalog
from ragdiag.store.faults import reason, store_error
from ragdiag.store.lake import PATIENCE_S
from ragdiag.store.upkeep.backup_manifest import Entry, Manifest
from ragdiag.store.upkeep.catalog_tables import carry_tables
from ragdiag.store.upkeep.datafiles import Measured, measure
from ragdiag.store.upkeep.sealed import copy_out, open_to_read


@dataclass(frozen=True, slots=True)
class Place:
    """Where a workspace's lake is to be, reached and not opened."""

    workspace: Workspace
    table: LakeTable
    catalog: Catalog
    connection: duckdb.DuckDBPyConnection

    @property
    def data_path(self) -> str:
        """With its closing slash, as DuckLake keeps it."""
        return data_folder(self.workspace, self.table)

    def refuse_occupied(self, *, force: bool) -> None:
        """Raises InputError where there is a lake, or (unless ``force``) where files lie that may
        belong to one: two lakes in one place would delete each other's files as orphans."""
        self._refuse_lake()
        there = self._there()
        if there and not force:
            raise InputError(
                f"there are files in {self.data_path}, such as {min(there)}",
                remedy="name an empty data_path, or give --force where the lake that wrote them is "
                "gone: compaction deletes what the backup does not have",
            )

    def _refuse_lake(self) -> None:
        if self.catalog.holds_lake():
            raise InputError(
                f"there is a lake in {self.catalog.place}",
                remedy="a lake outside of its workspace is not moved aside: name another schema "
                f"and data_path in {self.workspace.configuration}, or another workspace",
            )

    def _there(self) -> set[str]:
        """The Parquet files below the data path, by their names there."""
        found = list_parquet(self.connection, self.data_path)
        return {path.removeprefix(self.data_path) for path in found}

    def put_files(
        self, directory: Path, manifest: Manifest, keys: Keyring, progress: Progress
    ) -> None:
        """Copy what is not there yet, as the backup says. Raises StoreError."""
        there = self._there()
        for number, entry in enumerate(manifest.files):
            report(progress, number / len(manifest.files), f"restore {entry.name}")
            name = entry.name.removeprefix("files/")
            with self.connection.cursor() as cursor:
                path = self.data_path + name
                if name in there and measure(cursor, path) == entry.measured:
                    continue
                if _put_file(cursor, directory, entry, path, keys) != entry.measured:
                    raise StoreError(
                        f"{path} did not become what the backup says",
                        remedy="nothing was restored: check the disk and run this again",
                    )

    def put_catalog(self, source: Path) -> None:
        """Make ``source`` (SQLite) the catalog."""
        self.workspace.catalog.parent.mkdir(parents=True, exist_ok=True)
        with self.catalog.turn("open", time.monotonic() + PATIENCE_S):
            self._refuse_lake()
            if self.table.postgres is None:
                with closing(sqlite3.connect(source)) as database, database:
                    database.execute(
                        "update ducklake_metadata set value = ? where key = 'data_path'",
                        [self.data_path],
                    )
                SqliteCatalog(self.workspace.catalog).put(source)
            else:
                self._put_postgres(source, self.table.postgres)

    def _put_postgres(self, source: Path, postgres: PostgresTable) -> None:
        """Into a schema beside it, which takes the name in the transaction that fills it."""
        final = postgres.catalog_schema
        draft = f"restoring {hashlib.sha256(final.encode()).hexdigest()[:16]}"
        made = PostgresCatalog(
            postgres.model_copy(update={"catalog_schema": draft}), str(self.workspace.configuration)
        )
        with self.connection.cursor() as cursor:
            made.attach_tables(self.connection, "door")
            _tell(cursor, "door", f"drop schema if exists {named(draft)} cascade")
            cursor.execute(attach_statement(self.workspace, self.table, made, "made"))
            cursor.execute("detach made")
            cursor.execute(f"attach {quoted(str(source))} as given (type sqlite, read_only)")
            made.attach_tables(self.connection, "taken", f"schema {quoted(draft)}")
            cursor.execute("begin")
            carry_tables(cursor, "given", "taken", "postgres")
            cursor.execute(
                "update taken.ducklake_metadata set value = ? where key = 'data_path'",
                [self.data_path],
            )
            _tell(cursor, "taken", f"drop schema if exists {named(final)}")
            _tell(cursor, "taken", f"alter schema {named(draft)} rename to {named(final)}")
            cursor.execute("commit")


@contextmanager
def configured_place(workspace: Workspace) -> Iterator[Place]:
    """The place that ``[lake]`` names. DuckDB's errors within become StoreError."""
    table = read_configuration(workspace).lake
    catalog = catalog_of(workspace, table)
    with closing(connect(workspace, with_postgres=table.catalog == "postgres")) as connection:
        try:
            catalog.connect(connection)
            if table.in_bucket:
                open_bucket(connection, table, str(workspace.configuration))
                check_bucket(connection, table)
            yield Place(workspace, table, catalog, connection)
        except duckdb.Error as error:
            raise store_error(error, workspace) or StoreError(
                f"cannot restore a lake into {catalog.place} ({reason(error)})",
                remedy="nothing was restored: name another place in the [lake] table",
            ) from None


def _put_file(
    cursor: duckdb.DuckDBPyConnection, directory: Path, entry: Entry, path: str, keys: Keyring
) -> Measured:
    """Size and hash of what was written; into a bucket only what is whole."""
    if "://" not in path:
        return copy_out(directory / entry.name, Path(path), keys)
    with open_to_read(directory / entry.name, keys) as stream:
        content = stream.read()
    found = Measured(len(content), hashlib.sha256(content).hexdigest())
    if found == entry.measured:
        cursor.execute(
            f"copy (select ?::blob as content) to {quoted(path)} (format blob)", [content]
        )
    return found


def _tell(cursor: duckdb.DuckDBPyConnection, database: str, sql: str) -> None:
    cursor.execute(f"call postgres_execute({quoted(database)}, {quoted(sql)})")
