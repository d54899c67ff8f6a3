from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake, close_lakes
from tests.toy_lake import build_toy_lake


@pytest.fixture(scope="session")
def toy_lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    yield build_toy_lake(Workspace(tmp_path_factory.mktemp("toy") / "workspace"))
    close_lakes()
