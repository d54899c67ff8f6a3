"""A catalog in a SQLite file of the workspace: one machine, nothing to configure."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Hashable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb

from ragdiag.store.catalogs.catalog import Turn
from ragdiag.store.locks import locked


class SqliteCatalog:
    """The file holds the keys of the Parquet files, so its mode is 0600."""

    options = ()

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def place(self) -> str:
        return str(self._path)

    @property
    def attachment(self) -> str:
        return f"ducklake:sqlite:{self._path}"

    def connect(self, connection: duckdb.DuckDBPyConnection) -> None:
        """A file needs nothing."""

    def holds_lake(self) -> bool:
        """A file that was cut to nothing holds none, nor one that is only being made."""
        return self._path.is_file() and self._path.stat().st_size > 0

    def prepare(self) -> None:
        """An empty SQLite file in WAL; without WAL readers lock out writers."""
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            if self._path.stat().st_size:
                return
        try:
            with closing(sqlite3.connect(self._path)) as catalog:
                catalog.execute("pragma journal_mode=wal")
        except sqlite3.Error as error:
            code = errno.ENOSPC if "full" in str(error) else errno.EIO
            raise OSError(code, str(error), str(self._path)) from error

    def put(self, source: Path) -> None:
        """Make the whole file ``source`` the catalog, where there is none. Journals that one left
        which is gone would be applied to it."""
        for end in ("-wal", "-shm", "-journal"):
            self._path.with_name(f"{self._path.name}{end}").unlink(missing_ok=True)
        source.replace(self._path)

    def identity(self) -> Hashable:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    @contextmanager
    def turn(self, kind: Turn, deadline: float) -> Iterator[None]:
        with locked(self._path.with_name(f"{kind}.lock"), deadline):
            yield
