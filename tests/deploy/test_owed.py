"""An import that is killed before it has looked at the indexes leaves the look to others."""

from __future__ import annotations

import json

import pytest

from ragdiag.cli import main
from ragdiag.deploy.owed import look_where_owed
from ragdiag.retrieval.serving import pointer_path
from ragdiag.serve.fleet import Fleet
from ragdiag.settings import Workspace
from ragdiag.store.alerts import open_alerts
from ragdiag.store.corpus import add_documents, load_passages, remove_documents
from ragdiag.store.lake import Lake
from ragdiag.store.owed_checks import load_owed
from ragdiag.ui.ingesting import ingest_once
from ragdiag.version import Version
from ragdiag.workflows.doctor import examine
from ragdiag.workflows.indexing.corpus_change import look_after_indexes
from tests.stocked import Add, Build


@pytest.fixture
def killed(build: Build, add: Add) -> None:
    """The corpus has changed in one transaction, and no more was done."""
    build()
    add("rust")


def kinds(lake: Lake) -> list[str]:
    return [one.kind for one in open_alerts(lake)]


def test_a_change_and_what_it_owes_are_one_transaction(
    corpus: Lake, workspace: Workspace, add: Add, build: Build
) -> None:
    add("salt")
    assert load_owed(corpus) == {}  # nothing is indexed
    build()
    before = corpus.snapshot()
    add("rust")
    assert corpus.snapshot() == before + 1
    assert len(load_owed(corpus)) == 1
    add_documents(corpus, load_passages(corpus))  # changes nothing
    remove_documents(corpus, ["nobody"])
    assert len(load_owed(corpus)) == 1
    remove_documents(corpus, ["rust"])
    assert len(load_owed(corpus)) == 2
    look_after_indexes(corpus, workspace, by="test")
    assert load_owed(corpus) == {}


@pytest.mark.usefixtures("killed")
def test_who_ingests_next_looks(
    corpus: Lake,
    workspace: Workspace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ragdiag.workflows.doctor.PATIENCE_S", 0.0)
    told = [one for one in examine(workspace) if "nobody looked" in one.what]
    assert [(one.status, one.remedy) for one in told] == [("bad", "run: ragdiag ingest")]
    command = ["--workspace", str(workspace.root), "ingest", "--json"]
    assert main(command) == 0
    (check,) = json.loads(capsys.readouterr().out)["index_checks"]
    assert check["status"] == "bad"
    assert kinds(corpus) == ["index_freshness"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["index_checks"] == []


@pytest.mark.usefixtures("killed")
def test_who_stands_by_leaves_the_import_its_time(
    corpus: Lake, workspace: Workspace, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("serve.fleet", "ui.ingesting"):  # a busy machine may take its half minute
        monkeypatch.setattr(f"ragdiag.{place}.PATIENCE_S", 3_600.0)
    Fleet(corpus, workspace, version).look()
    ingest_once(workspace)
    assert kinds(corpus) == []
    monkeypatch.setattr("ragdiag.ui.ingesting.PATIENCE_S", 0.0)
    ingest_once(workspace)
    assert kinds(corpus) == ["index_freshness"]
    assert load_owed(corpus) == {}


@pytest.mark.usefixtures("killed")
def test_a_service_looks_too(
    corpus: Lake, workspace: Workspace, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragdiag.serve.fleet.PATIENCE_S", 0.0)
    Fleet(corpus, workspace, version).look()
    assert kinds(corpus) == ["index_freshness"]


@pytest.mark.usefixtures("killed")
def test_a_history_that_cannot_be_read_is_logged_and_not_looked_at_for_ever(
    corpus: Lake, workspace: Workspace, version: Version, caplog: pytest.LogCaptureFixture
) -> None:
    pointer = pointer_path(workspace, version.spec.index_key)
    pointer.parent.mkdir()
    pointer.write_text("{")
    assert look_where_owed(corpus, workspace, by="test") == []
    assert "which says what serves" in caplog.text
    assert load_owed(corpus) == {}
