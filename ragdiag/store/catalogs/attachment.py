"""Which catalog a workspace has, where its files lie, and the SQL by which DuckDB attaches it."""

from __future__ import annotations

import glob

import duckdb

from ragdiag.backends import LakeTable
from ragdiag.settings import Workspace
from ragdiag.store.catalogs.catalog import Catalog
from ragdiag.store.catalogs.postgres_catalog import PostgresCatalog
from ragdiag.store.catalogs.secrets import quoted
from ragdiag.store.catalogs.sqlite_catalog import SqliteCatalog


def catalog_of(workspace: Workspace, table: LakeTable) -> Catalog:
    """The catalog that ``table`` configures, not connected yet."""
    if table.postgres is None:
        return SqliteCatalog(workspace.catalog)
    return PostgresCatalog(table.postgres, str(workspace.configuration))


def data_folder(workspace: Workspace, table: LakeTable) -> str:
    """A folder or a prefix in a bucket, with its closing slash, as DuckLake keeps it."""
    return f"{(table.data_path or str(workspace.lake_data)).rstrip('/')}/"


def list_parquet(connection: duckdb.DuckDBPyConnection, folder: str) -> list[str]:
    """The paths of the Parquet files below ``folder``, whoever wrote them, in order."""
    with connection.cursor() as cursor:
        pattern = f"{glob.escape(folder)}**/*.parquet"
        found = cursor.execute("select file from glob(?) order by 1", [pattern]).fetchall()
    return [str(path) for (path,) in found]


def attach_statement(
    workspace: Workspace, table: LakeTable, catalog: Catalog, name: str, *more: str
) -> str:
    """The SQL that attaches a lake as the database ``name``.

    Data inside the workspace moves with it; data elsewhere stays where the catalog says, since a
    mistaken path would split a lake in two.
    """
    options = [f"data_path {quoted(table.data_path or str(workspace.lake_data))}"]
    if table.encrypted:
        options.append("encrypted")
    if table.data_path is None:
        options.append("override_data_path true")
    every = ", ".join([*options, *catalog.options, *more])
    return f"attach {quoted(catalog.attachment)} as {name} ({every})"
