"""Fixtures for the whole tree: temporary workspaces, the real data where it is present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ragdiag.settings import PROJECT, Workspace


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests run last, so that a quick failure shows quickly."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real public data: the folder named by RAGDIAG_TEST_DATA, else ../shared/data."""
    folder = Path(os.environ.get("RAGDIAG_TEST_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; name it with RAGDIAG_TEST_DATA")
    return folder
