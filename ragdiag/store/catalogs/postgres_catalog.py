"""A catalog in a schema of a PostgreSQL database: many machines, one lake."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress

import duckdb

from ragdiag.backends import PostgresTable
from ragdiag.errors import StoreBusy
from ragdiag.store.catalogs.catalog import Turn
from ragdiag.store.catalogs.secrets import create_secret, from_environment, quoted

SECRET = "catalog_login"
TURNS = "turns"
"""A second attachment of the database: the lock of a turn must outlive the lake's transaction."""

ALIVE = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""A server that vanished without a word is noticed within about a minute, not within hours."""

PATIENT_MS = 1_000
"""The server queues a waiting writer this long at a time; between two it can be interrupted."""


class PostgresCatalog:
    """The password reaches DuckDB as a secret, never as part of a connection string: DuckDB
    prints those in its errors."""

    def __init__(self, table: PostgresTable, configuration: str) -> None:
        """``configuration`` is the file to name where the environment lacks the password."""
        self._table = table
        self._configuration = configuration
        self._connection: duckdb.DuckDBPyConnection | None = None

    @property
    def place(self) -> str:
        table = self._table
        return (
            f"PostgreSQL {table.host}:{table.port}/{table.database}, schema {table.catalog_schema}"
        )

    @property
    def attachment(self) -> str:
        return f"ducklake:postgres:{self._parameters()}"

    @property
    def options(self) -> tuple[str, ...]:
        """The schema twice: where DuckLake keeps its tables, and where their plain names lead."""
        name = quoted(self._table.catalog_schema)
        schema = (f"metadata_schema {name}", f"meta_schema {name}")
        return (*schema, f"meta_secret {SECRET}") if self._table.password_env else schema

    def connect(self, connection: duckdb.DuckDBPyConnection) -> None:
        if variable := self._table.password_env:
            password = from_environment(variable, self._configuration, "lake.postgres.password_env")
            create_secret(connection, SECRET, "postgres", {"password": password})
        self.attach_tables(connection, TURNS, "read_only")
        self._connection = connection

    def attach_tables(self, connection: duckdb.DuckDBPyConnection, name: str, *more: str) -> None:
        """Attach the database as ``name``, its tables plain ones, once the catalog is connected."""
        login = [f"secret {SECRET}"] if self._table.password_env else []
        options = ", ".join(["type postgres", *login, *more])
        connection.execute(f"attach {quoted(self._parameters())} as {name} ({options})")

    def holds_lake(self) -> bool:
        return self.identity() is not None

    def prepare(self) -> None:
        """DuckLake creates its schema itself."""

    def identity(self) -> Hashable:
        """The object id of the table of snapshots: dropped and created again, it has another."""
        with self._opened().cursor() as cursor:
            found = self._ask(
                cursor,
                "select c.oid::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                f" where c.relname = 'ducklake_snapshot' and n.nspname = {self._schema()}",
            )
        return found[0][0] if found else None

    @contextmanager
    def turn(self, kind: Turn, deadline: float) -> Iterator[None]:
        """An advisory lock of the database, held by a transaction of its own."""
        with self._opened().cursor() as cursor:
            while not self._locked(cursor, kind):
                if time.monotonic() > deadline:
                    raise StoreBusy(
                        f"another writer has held {self.place} for too long",
                        remedy="nothing was written: try again when it has finished",
                    )
            try:
                yield
            finally:
                with suppress(duckdb.Error):  # with a lost connection the lock is gone as well
                    cursor.execute("rollback")

    def find_unreadable(self) -> dict[str, duckdb.Error]:
        """Every table of the schema that the server cannot read whole → what it says.

        The server lists them: DuckDB hides the tables of an attached lake. One that compaction
        drops meanwhile is not in the way.
        """
        found: dict[str, duckdb.Error] = {}
        with self._opened().cursor() as cursor:
            for name, table in self._tables(cursor).items():
                try:
                    self._ask(cursor, f"select count((whole.*)::text) from {table} whole")
                except duckdb.Error as error:
                    if name in self._tables(cursor):
                        found[name] = error
        return found

    def _tables(self, cursor: duckdb.DuckDBPyConnection) -> dict[str, str]:
        """Name → how the server's SQL names it."""
        rows = self._ask(
            cursor,
            "select c.relname::text, c.oid::regclass::text from pg_class c "
            "join pg_namespace n on n.oid = c.relnamespace "
            f"where c.relkind = 'r' and n.nspname = {self._schema()} order by 1",
        )
        return {str(name): str(table) for name, table in rows}

    def _locked(self, cursor: duckdb.DuckDBPyConnection, kind: Turn) -> bool:
        cursor.execute("begin")
        try:
            self._ask(cursor, f"select set_config('lock_timeout', '{PATIENT_MS}', true)")
            self._ask(cursor, f"select pg_advisory_xact_lock({self._key(kind)})")
        except BaseException as error:
            with suppress(duckdb.Error):
                cursor.execute("rollback")
            if isinstance(error, duckdb.Error) and "lock timeout" in str(error):
                return False
            raise
        return True

    def _key(self, kind: Turn) -> int:
        """One lock of 64 bits per schema and kind; advisory locks are per database already."""
        name = f"ragdiag {self._table.catalog_schema} {kind}"
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)

    def _ask(self, cursor: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[object, ...]]:
        return cursor.execute(f"from postgres_query('{TURNS}', {quoted(sql)})").fetchall()

    def _schema(self) -> str:
        """As a literal of PostgreSQL, in the form whose backslashes escape whatever is set."""
        text = self._table.catalog_schema.replace("\\", "\\\\").replace("'", "''")
        return f"E'{text}'"

    def _opened(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            raise RuntimeError("the catalog is not connected")
        return self._connection

    def _parameters(self) -> str:
        """A libpq connection string; no secret is in it."""
        table = self._table
        given = {
            "host": table.host,
            "port": table.port,
            "dbname": table.database,
            "user": table.user,
            "sslmode": table.sslmode,
            "sslrootcert": table.sslrootcert,
            "connect_timeout": table.connect_timeout,
            "application_name": "ragdiag",
            **ALIVE,
        }
        return " ".join(
            f"{key}={_libpq(str(value))}" for key, value in given.items() if value is not None
        )


def _libpq(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
