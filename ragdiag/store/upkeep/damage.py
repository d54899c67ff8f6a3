"""Which data file is damaged, when reading the lake fails."""

from __future__ import annotations

import re

import duckdb

from ragdiag.errors import DamagedFile, first_line
from ragdiag.store.upkeep.datafiles import DataFile, list_files, measure, read_whole, size_of

_OF_A_FILE = (
    "parquet",
    "aes tag",
    "decrypt",
    "magic bytes",
    "cannot open file",
    "read from file",
    "mismatches requested range",
)
REMEDY = "the rest is served again after: ragdiag store check --set-aside"


def damaged_file_error(
    error: duckdb.Error, connection: duckdb.DuckDBPyConnection
) -> DamagedFile | None:
    """One line that names the damaged data file behind ``error``; None where it is no damage.

    DuckDB does not always name the file (a failed decryption has no name), so then all are looked
    at, those of the present first.
    """
    if not any(phrase in str(error).lower() for phrase in _OF_A_FILE):
        return None
    try:
        with connection.cursor() as cursor:
            files = sorted(list_files(cursor), key=lambda file: not file.is_current)
            named = [file for file in files if re.search(re.escape(file.name), str(error))]
            for file in named or files:
                if fault := fault_of(cursor, file, known=None):
                    return DamagedFile(f"the data file {file.path} is {fault}", remedy=REMEDY)
    except (duckdb.Error, OSError):
        return None
    return None


def fault_of(cursor: duckdb.DuckDBPyConnection, file: DataFile, *, known: str | None) -> str | None:
    """``missing``, ``cut or grown …``, ``changed …`` or ``unreadable …``; None for a sound file.

    With the ``known`` SHA-256 every changed byte is found; without it the file is read whole, and
    what encryption or decoding refuses is found.
    """
    size = size_of(cursor, file.path)
    if size is None:
        return "missing"
    if size != file.bytes:
        return f"cut or grown: {size} bytes, the catalog says {file.bytes}"
    if known is not None:
        found = measure(cursor, file.path)
        return None if found and found.sha256 == known else "changed: its SHA-256 is another"
    try:
        read_whole(cursor, file)
    except duckdb.Error as error:
        return f"unreadable ({first_line(error)})"
    return None
