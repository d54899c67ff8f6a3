"""What serves from the embedded Milvus moves to a new build, and nobody drops what is open."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from milvus_lite.server_manager import server_manager_instance

from ragdiag.deploy.prune import prune_builds
from ragdiag.deploy.publish import publish_build
from ragdiag.retrieval.milvus.connection import connect
from ragdiag.serve.answering import Asked, search
from ragdiag.serve.fleet import Fleet
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from tests.retrieval.conftest import tiny_model as tiny_model
from tests.stocked import Build

from .conftest import QUESTION

SPEC = """
[embedder]
model = "{}"
[ann]
engine = "milvus"
uri = "vectors.db"
[generator]
kind = "openai"
model = "nobody"
base_url = "http://127.0.0.1:9"
"""


@pytest.fixture
def _embedded_engines_end() -> Iterator[None]:
    yield
    server_manager_instance.release_all()


@pytest.mark.usefixtures("_embedded_engines_end")
def test_a_service_moves_from_one_collection_to_the_next(
    corpus: Lake, workspace: Workspace, build: Build, tiny_model: Path
) -> None:
    version = Version("milvus", parse_spec(SPEC.format(tiny_model), source="toy"))
    save_version(corpus, version)
    collections = []
    fleet = Fleet(corpus, workspace, version)
    for name in ("rust", "salt", "sand"):
        made = build(name, of=version)
        collections.append(made.manifest["dense"]["milvus"]["collection"])
        publish_build(workspace, version.spec.index_key, made.build_id, by="test")
        before = fleet.serving.get("production")
        fleet.look()
        served = fleet.serving["production"]
        hits = search(served, Asked(QUESTION)).dense
        assert hits is not None
        assert name in {hit.passage_id for hit in hits}
        if name == "sand" and before is not None:
            first = prune_builds(corpus, workspace, datetime.now(UTC))
            assert len(first.builds) == 1
            assert search(before, Asked(QUESTION)).dense, "the question under way ends on it"
    del before
    gc.collect()
    connection = connect(version.spec.ann, workspace)
    assert connection.ask("list_collections") == sorted(collections[1:])
