"""Which catalog a workspace has, and the SQL by which DuckDB attaches its lake."""

from __future__ import annotations

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
