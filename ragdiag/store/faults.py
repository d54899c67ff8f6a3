"""What DuckDB, the catalog's database, the object store and the disk report, sorted: try again,
tell the user, or a defect.

A failed commit quotes its statement, which holds the keys of the Parquet files and values of their
rows: :func:`reason` leaves it out, and nothing else of an error may be shown.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from ragdiag.errors import StoreBusy, StoreError, StoreFull
from ragdiag.settings import Workspace

_OUTDATED = (
    "failed to read inlined data",
    re.compile(r"ducklake_inlined_\w+\W+does not exist"),
)
_TRANSIENT = (
    *_OUTDATED,
    "database is locked",
    "database table is locked",
    "conflict",
    "ducklake_snapshot_pkey",  # another commit came first: PostgreSQL,
    "ducklake_snapshot.snapshot_id",  # and SQLite
    "could not serialize access",
    "deadlock detected",
)
_FULL = ("no space left on device", "database or disk is full", "could not allocate disk")
_VAGUE = ("disk i/o error", "unable to open database")
_DAMAGED = (
    *_VAGUE,
    "not a database",
    "malformed",
    "parquet",
    "encrypt",
    "decrypt",
    "aes tag",
    "readonly database",
    "failed to commit",
)
_REFUSED_LOGIN = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "permission denied for",
    re.compile(r'(role|database) ".*" does not exist'),
)
_SERVER_AWAY = (
    "could not translate host name",
    "server closed the connection",
    "terminating connection",
    "connection to server",
    "no connection to the server",
    "the database system is",
    "could not receive data from server",
    "could not send data to server",
    "ssl syscall error",
    'failed to execute query "rollback"',  # all that is said of a commit whose connection was lost
)
_UNREADABLE = (
    "invalid page in block",
    "could not read block",
    "missing chunk number",
    "unexpected chunk",
    "data is corrupt",
    "could not access status of transaction",
)
"""What PostgreSQL says of a damaged page of a table."""
_NOT_ENCRYPTED = ("the database is not encrypted but we requested",)
_BUCKET_MISSING = ("nosuchbucket",)
_BUCKET_DENIED = ("http 403", "http code 403", "http 401", "http code 401", "accessdenied")
_OBJECT_MISSING = ("http 404", "http code 404")
_STORE_AWAY = ("for http", "http error", "unable to connect to url")
_OTHER_DATA_PATH = ("does not match existing data path",)
SHM_BYTES = 32_768
"""SQLite in WAL needs this much room for its index even to read, and is vague where it has none."""

_LEFT_OUT = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r'Failed to execute query "(?!ROLLBACK|COMMIT).*":',
        r"COPY \(.*\) TO STDOUT",
        r'(Failed to attach DuckLake MetaData.*)?Unable to connect to Postgres at ".*?":',
        r"\n+LINE \d+:.*",
        r'at or near ".*',
        r"Exceeded the maximum retry count.*?ducklake_max_retry_count = .*?\"",
    )
)
"""Statements and what repeats them, connection strings, advice on a setting that is ours. The
order matters: data in a statement may look like the patterns after it."""

LONGEST = 400


def reason(error: BaseException) -> str:
    """What ``error`` says, on one line, without statements, which may hold keys and data."""
    text = str(error)
    for pattern in _LEFT_OUT:
        text = pattern.sub("", text)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def is_transient(error: duckdb.Error) -> bool:
    """Whether another writer was in the way, so that the same call may succeed later."""
    return _says(error, _TRANSIENT)


def is_outdated(error: duckdb.Error) -> bool:
    """Whether this process looks where compaction by another has removed what was there."""
    return _says(error, _OUTDATED)


def store_busy(error: duckdb.Error, workspace: Workspace) -> StoreBusy:
    """What to say when patience has ended."""
    return StoreBusy(
        f"other writers hold the lake of {workspace.root} ({reason(error)})",
        remedy="nothing was written: try again when they have finished",
    )


def store_error(error: BaseException, workspace: Workspace) -> StoreError | None:
    """The store's failure that ``error`` tells of; None where it is a defect of the caller."""
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    vague = _says(error, _VAGUE) and _no_room(workspace)
    if full or vague or _says(error, _FULL):
        return StoreFull(
            f"no space left on the device of {workspace.root}",
            remedy="nothing was written: free some space and run this again",
        )
    if isinstance(error, duckdb.Error):
        if is_transient(error):
            return store_busy(error, workspace)
        if fault := _server_error(error, workspace):
            return fault
    if isinstance(error, (duckdb.IOException, OSError)) or _says(error, _DAMAGED):
        return StoreError(
            f"cannot read or write the lake in {workspace.root} ({reason(error)})",
            remedy="check the path and its permissions, or restore it from a backup",
        )
    return None


@contextmanager
def store_faults(workspace: Workspace) -> Iterator[None]:
    """Turn a DuckDB error within into the StoreError it tells of; any other passes through."""
    try:
        yield
    except duckdb.Error as error:
        if is_transient(error) or (fault := store_error(error, workspace)) is None:
            raise
        raise fault from None


def _server_error(error: duckdb.Error, workspace: Workspace) -> StoreError | None:
    """The failure of the PostgreSQL server or the object store that ``error`` tells of."""
    file = workspace.configuration
    for phrases, message, remedy in (
        (
            _REFUSED_LOGIN,
            "the catalog's PostgreSQL server refuses this login",
            f"check [lake.postgres] in {file}, the password's environment variable or ~/.pgpass",
        ),
        (
            _SERVER_AWAY,
            "the catalog's PostgreSQL server is not there",
            f"start it, or check [lake.postgres] in {file}; then run this again",
        ),
        (
            _UNREADABLE,
            "the catalog's PostgreSQL server cannot read a table of it",
            "run: ragdiag store check, which names it",
        ),
        (
            _OTHER_DATA_PATH,
            "the lake keeps its data elsewhere",
            f"give lake.data_path in {file} as it was when the lake was created",
        ),
        (
            _NOT_ENCRYPTED,
            "the lake was created unencrypted, which never changes",
            f"write encrypted = false under [lake] in {file}, or create another lake",
        ),
        (
            _BUCKET_MISSING,
            "the bucket of the lake's data does not exist",
            f"create it, or check lake.data_path in {file}",
        ),
        (
            _BUCKET_DENIED,
            "the object store refuses these keys",
            f"check [lake.s3] in {file} and the environment variables that it names",
        ),
        (
            _OBJECT_MISSING,
            "a file of the lake is missing in the object store",
            "restore it from a backup or from the bucket's earlier versions",
        ),
        (
            _STORE_AWAY,
            "the object store of the lake's data is not there",
            f"start it, or check [lake.s3] in {file}; then run this again",
        ),
    ):
        if _says(error, phrases):
            return StoreError(f"{message} ({reason(error)})", remedy=remedy)
    return None


def _no_room(workspace: Workspace) -> bool:
    try:
        return shutil.disk_usage(workspace.root).free < SHM_BYTES
    except OSError:
        return False


def _says(error: BaseException, phrases: tuple[str | re.Pattern[str], ...]) -> bool:
    """Whether one of ``phrases`` is in what :func:`reason` keeps, whatever its case."""
    message = reason(error).lower()
    return any(
        phrase in message if isinstance(phrase, str) else bool(phrase.search(message))
        for phrase in phrases
    )
