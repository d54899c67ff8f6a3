"""The index of a tuned version: its own beside production's, or the very one that serves."""

from __future__ import annotations

import pytest

from ragdiag.records import Passage
from ragdiag.retrieval.serving import serving_build_id
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents
from ragdiag.store.lake import Lake
from ragdiag.store.results import list_builds
from ragdiag.version import Version
from ragdiag.workflows.indexing.build import build_version_index, roll_back_index
from ragdiag.workflows.tuning.tuned_version import build_tuned_index

NEWS = Passage("news", "news", "A notice of nothing in particular.")


@pytest.fixture
def built(corpus: Lake, workspace: Workspace, version: Version) -> str:
    return build_version_index(corpus, workspace, version).build_id


def test_what_serves_production_stays_what_an_operator_made_it(
    corpus: Lake, workspace: Workspace, version: Version, built: str
) -> None:
    add_documents(corpus, [NEWS])
    build_version_index(corpus, workspace, version)
    roll_back_index(corpus, workspace, version, by="operator")
    context = version.spec.context.model_copy(update={"k": 2})
    tuned = Version("tuned", version.spec.model_copy(update={"context": context}))
    build_tuned_index(corpus, workspace, version, tuned)
    assert serving_build_id(corpus, workspace, version.spec.index_key) == built
    assert len(list_builds(corpus, version.spec.index_key)) == 2
