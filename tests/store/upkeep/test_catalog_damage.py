"""A PostgreSQL catalog whose server finds damaged pages: every table of them is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragdiag.backends import PostgresTable
from ragdiag.configuration import read_configuration
from ragdiag.errors import StoreError
from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.results import load_requests
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep.catalog_damage import find_catalog_damage
from tests.servers import Postgres
from tests.store.conftest import toy_request

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("planned_as_anywhere")]

Place = Callable[..., Workspace]
Command = Callable[..., tuple[int, Any, str]]
PAGE_HEADER = 24
REMEDY = "restore a backup into another schema and data_path (ragdiag store restore)"


@pytest.fixture
def remote(place: Place, workspace: Workspace, tmp_path: Path) -> Workspace:
    """Ten requests whose catalog is in PostgreSQL."""
    place(workspace.root, store=None, data_path=tmp_path / "data")
    lake = open_lake(workspace, create=True)
    with SpoolWriter(workspace) as spool:
        for number in range(10):
            spool.write(toy_request(number))
    ingest(lake, workspace)
    close_lakes()
    return workspace


def damage(server: Postgres, workspace: Workspace, *tables: str) -> None:
    """Overwrite the header of each table's first page while the server is down."""
    postgres = read_configuration(workspace).lake.postgres
    assert isinstance(postgres, PostgresTable)
    schema = postgres.catalog_schema.replace("'", "''")
    listed = ", ".join(f"'{table}'" for table in tables)
    paths = server.ask(
        "select pg_relation_filepath(c.oid) from pg_class c join pg_namespace n "
        f"on n.oid = relnamespace where nspname = '{schema}' and relname in ({listed})"
    ).split()
    assert len(paths) == len(tables)
    server.stop()
    for path in paths:
        with (server.folder / "data" / path).open("r+b") as file:
            assert file.write(b"?" * PAGE_HEADER) == PAGE_HEADER
    server.start()


def test_every_table_that_cannot_be_read_is_named_with_its_remedy(
    remote: Workspace, postgres: Postgres, command: Command, tmp_path: Path
) -> None:
    """The first is read by nothing else; the second ends reads with an error of DuckLake's own."""
    assert find_catalog_damage(remote) == []
    tables = ["ducklake_file_partition_value", "ducklake_schema_versions"]
    damage(postgres, remote, *tables)
    status, found, said = command(remote, "store", "check")
    assert (status, found["snapshot"]) == (1, None), said
    for finding, table in zip(found["findings"], tables, strict=True):
        assert finding["what"].startswith("the catalog PostgreSQL 127.0.0.1:")
        assert f"is damaged ({table} cannot be read: " in finding["what"]
        assert "invalid page in block 0" in finding["what"]
        assert finding["remedy"] == REMEDY

    with pytest.raises(StoreError, match=r"is damaged \(ducklake_file_partition_value .*restore"):
        load_requests(open_lake(remote))
    status, found, said = command(remote, "store", "backup", str(tmp_path / "backup"))
    assert (status, found) == (2, None)
    assert said.startswith("ragdiag: the catalog"), said


def test_a_catalog_too_damaged_to_be_opened_says_which_table(
    remote: Workspace, postgres: Postgres, command: Command
) -> None:
    damage(postgres, remote, "ducklake_column")
    status, found, said = command(remote, "store", "check")
    assert (status, found) == (2, None)
    assert "is damaged (ducklake_column cannot be read: " in said
    assert REMEDY in said


def test_a_server_that_is_away_is_no_damage(
    remote: Workspace, postgres: Postgres, command: Command
) -> None:
    postgres.stop()
    try:
        with pytest.raises(StoreError, match="PostgreSQL server is not there"):
            find_catalog_damage(remote)
        status, _, said = command(remote, "store", "check")
        assert (status, "server is not there" in said) == (2, True), said
    finally:
        postgres.start()
