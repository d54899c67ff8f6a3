"""What DuckDB, SQLite and the disk report, sorted: try again, tell the user, or a defect."""

from __future__ import annotations

import errno
import shutil

import duckdb

from ragdiag.errors import StoreError, StoreFull
from ragdiag.settings import Workspace

_TRANSIENT = ("database is locked", "database table is locked", "conflict", "maximum retry count")
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
)
SHM_BYTES = 32_768
"""SQLite in WAL needs this much room for its index even to read, and is vague where it has none."""


def is_transient(error: duckdb.Error) -> bool:
    """Whether another writer was in the way, so that the same call may succeed later."""
    return _says(error, _TRANSIENT)


def store_error(error: BaseException, workspace: Workspace) -> StoreError | None:
    """The store's failure that ``error`` tells of; None where it is a defect of the caller."""
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    vague = _says(error, _VAGUE) and _no_room(workspace)
    if full or vague or _says(error, _FULL):
        return StoreFull(
            f"no space left on the device of {workspace.root}",
            remedy="nothing was written: free some space and run this again",
        )
    if isinstance(error, (duckdb.IOException, OSError)) or _says(error, _DAMAGED):
        return StoreError(
            f"cannot read or write the lake in {workspace.root} ({error})",
            remedy="check the path and its permissions, or restore it from a backup",
        )
    return None


def _no_room(workspace: Workspace) -> bool:
    try:
        return shutil.disk_usage(workspace.root).free < SHM_BYTES
    except OSError:
        return False


def _says(error: BaseException, phrases: tuple[str, ...]) -> bool:
    message = str(error).lower()
    return any(phrase in message for phrase in phrases)
