"""After a change of the corpus every build that serves is looked after, and none is harmed."""

from __future__ import annotations

import pytest

from ragdiag.errors import ModelError
from ragdiag.retrieval.serving import pointer_path, serving_build_id
from ragdiag.settings import Workspace
from ragdiag.store.alerts import open_alerts
from ragdiag.store.corpus import remove_documents
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.indexing import build as workflow
from ragdiag.workflows.indexing.build import release_index
from ragdiag.workflows.indexing.corpus_change import ServedIndex, look_after_indexes
from tests.stocked import LEXICAL, Add


@pytest.fixture
def served(corpus: Lake, workspace: Workspace, version: Version) -> str:
    """One build that serves two versions; a third version has none."""
    for name, more in (("short", "[context]\nk = 2\n"), ("unbuilt", "")):
        spec = LEXICAL.replace("[generator]", f"{more}[generator]")
        if not more:
            spec = spec.replace("[lexical]", "[lexical]\nk1 = 1.2")
        save_version(corpus, Version(name, parse_spec(spec, source="toy")))
    return release_index(corpus, workspace, version, by="test").build.build_id


def look(lake: Lake, workspace: Workspace, *, rebuild: bool = False) -> ServedIndex:
    (state,) = look_after_indexes(lake, workspace, by="test", rebuild=rebuild)
    assert state.versions == ("lexical", "short")
    return state


def test_what_serves_is_told_to_be_stale_until_it_is_fresh_again(
    corpus: Lake, workspace: Workspace, served: str, add: Add
) -> None:
    assert look(corpus, workspace) == ServedIndex(("lexical", "short"), served, "good")
    add("rust")
    state = look(corpus, workspace)
    assert (state.build_id, state.status, state.renewed) == (served, "bad", False)
    assert "1 of 9 passages missing" in state.notes[0]
    assert state.notes[0].endswith("run: ragdiag index build lexical")
    (alert,) = open_alerts(corpus)
    assert alert.details["versions"] == ["lexical", "short"]
    remove_documents(corpus, ["rust"])
    assert look(corpus, workspace).status == "good"
    assert open_alerts(corpus) == []


def test_a_rebuild_publishes_what_was_serving(
    corpus: Lake, workspace: Workspace, version: Version, served: str, add: Add
) -> None:
    add("rust")
    look(corpus, workspace)
    state = look(corpus, workspace, rebuild=True)
    assert (state.status, state.renewed) == ("good", True)
    assert serving_build_id(corpus, workspace, version.spec.index_key) == state.build_id != served
    assert open_alerts(corpus) == []
    assert not look(corpus, workspace, rebuild=True).renewed


def test_a_rebuild_that_fails_leaves_the_old_build_and_two_alerts(
    corpus: Lake,
    workspace: Workspace,
    version: Version,
    served: str,
    add: Add,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise ModelError("no model", remedy="name another")

    add("rust")
    monkeypatch.setattr(workflow, "build_index", refuse)
    state = look(corpus, workspace, rebuild=True)
    assert (state.build_id, state.status, state.renewed) == (served, "bad", False)
    assert state.notes[0] == f"build {served} was not renewed: no model; name another"
    assert "older than the corpus" in state.notes[1]
    assert serving_build_id(corpus, workspace, version.spec.index_key) == served
    assert {one.kind for one in open_alerts(corpus)} == {"index_rebuild", "index_freshness"}


def test_a_pointer_that_cannot_be_read_is_told_and_does_not_stop_the_import(
    corpus: Lake, workspace: Workspace, version: Version, served: str
) -> None:
    pointer_path(workspace, version.spec.index_key).write_text("{")
    state = look(corpus, workspace)
    assert (state.build_id, state.status) == (None, "bad")
    assert "move it away" in state.notes[0]
