"""A Milvus within this process, and one of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from milvus_lite.server_manager import server_manager_instance

from ragdiag.retrieval.milvus.connection import Connection
from ragdiag.version import AnnSpec
from tests.milvus_server import MilvusServer


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """The embedded engine over an empty folder."""
    path = tmp_path_factory.mktemp("milvus") / "vectors.db"
    connection = Connection(str(path), AnnSpec(engine="milvus", uri="vectors.db"))
    connection.create()
    yield connection
    server_manager_instance.release_server(str(path))


@pytest.fixture
def milvus_server(tmp_path: Path) -> Iterator[MilvusServer]:
    server = MilvusServer(tmp_path / "milvus")
    server.start()
    yield server
    server.kill()
