"""DuckDB with the extensions that the lake needs, loaded by path from their packages.

Nothing is downloaded: installing and loading on demand are switched off, and DuckDB refuses a
file whose signature does not fit.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import duckdb

from ragdiag.errors import StoreError
from ragdiag.settings import Workspace
from ragdiag.store.catalogs.spill import spill_folder

EXTENSIONS = ("ducklake", "sqlite_scanner", "httpfs")
"""httpfs brings the OpenSSL that encrypted writes need."""

POSTGRES = "postgres_scanner"

SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    # What spills has been decrypted.
    "temp_file_encryption": True,
}

_REMEDY = "install what requirements.txt lists (pip install -r requirements.txt)"


def connect(workspace: Workspace, *, with_postgres: bool = False) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory with its extensions loaded; what it spills goes beside the
    lake, encrypted.

    DuckLake must not try a commit again by itself: it would not repeat what a transaction checked.
    """
    spill = spill_folder(workspace)
    connection = duckdb.connect(":memory:", config={**SETTINGS, "temp_directory": str(spill)})
    try:
        for name in (*EXTENSIONS, POSTGRES) if with_postgres else EXTENSIONS:
            path = str(extension_file(name)).replace("'", "''")
            connection.execute(f"load '{path}'")
        connection.execute("set ducklake_max_retry_count = 0")
    except duckdb.Error as error:
        connection.close()
        raise StoreError(
            f"DuckDB refuses its extension {name} ({error})", remedy=_REMEDY
        ) from error
    except StoreError:
        connection.close()
        raise
    return connection


def extension_file(name: str) -> Path:
    """The signed binary of an extension for this DuckDB; StoreError where it is not installed."""
    spec = find_spec(f"duckdb_extension_{name}")
    if spec is None or spec.origin is None:
        raise StoreError(f"the DuckDB extension {name} is not installed", remedy=_REMEDY)
    version = f"v{duckdb.__version__}"
    found = sorted(Path(spec.origin).parent.rglob(f"{name}.duckdb_extension"))
    fitting = [path for path in found if version in path.parts]
    if not fitting:
        raise StoreError(
            f"the DuckDB extension {name} is not there for DuckDB {version}", remedy=_REMEDY
        )
    return fitting[0]
