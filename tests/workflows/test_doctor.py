"""Each finding names its remedy; a healthy workspace has none that is bad."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragdiag.importers.beir import import_beir
from ragdiag.instrumentation.losses import Losses
from ragdiag.records import Finding
from ragdiag.settings import Workspace
from ragdiag.store.corpus import remove_documents
from ragdiag.store.lake import Lake, open_lake
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.doctor import examine
from ragdiag.workflows.indexing.build import build_version_index

SPEC = "[lexical]\n[generator]\nkind = 'extractive'"


def bad(workspace: Workspace) -> list[Finding]:
    return [finding for finding in examine(workspace) if finding.status == "bad"]


@pytest.fixture
def lake(workspace: Workspace, toy_beir: Path) -> Lake:
    lake = open_lake(workspace, create=True)
    import_beir(lake, toy_beir)
    version = Version("lexical", parse_spec(SPEC, source="toy"))
    save_version(lake, version)
    build_version_index(lake, workspace, version)
    return lake


def test_a_healthy_workspace_has_nothing_to_mend(lake: Lake, workspace: Workspace) -> None:
    assert bad(workspace) == []


def test_no_workspace_is_the_only_complaint(workspace: Workspace) -> None:
    (found,) = bad(workspace)
    assert "no workspace" in found.what
    assert "ragdiag demo" in found.remedy


def test_a_version_without_an_index_is_named(lake: Lake, workspace: Workspace) -> None:
    dense = Version("dense", parse_spec(SPEC.replace("lexical", "embedder"), source="toy"))
    save_version(lake, dense)
    (found,) = bad(workspace)
    assert found.remedy == "run: ragdiag index build dense"


def test_an_index_older_than_the_corpus_is_named(lake: Lake, workspace: Workspace) -> None:
    remove_documents(lake, ["cats"])
    (found,) = bad(workspace)
    assert "older than the corpus" in found.what


def test_a_damaged_index_file_is_named(lake: Lake, workspace: Workspace) -> None:
    victim = next(workspace.indexes.glob("*/ids.parquet"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    (found,) = bad(workspace)
    assert "ids.parquet" in found.what
    assert "index build" in found.remedy


def test_a_waiting_spool_is_named(lake: Lake, workspace: Workspace) -> None:
    workspace.spool.mkdir(exist_ok=True)
    (workspace.spool / "other-1-1.jsonl").write_text("{}\n")
    assert [found.remedy for found in bad(workspace)] == ["run: ragdiag ingest"]


def test_what_a_service_could_not_log_is_told(workspace: Workspace) -> None:
    losses = Losses(workspace, "web", warn_every_s=60)
    losses.count("left_out", "latency of a stage that is none")
    losses.report(at_once=True)
    assert len(bad(workspace)) == 1  # there is no lake
    losses.count("dropped", "the queue was full", 41)
    losses.count("refused", "question is empty")
    losses.report(at_once=True)
    (found, _) = bad(workspace)
    assert found.what.startswith("42 records of the service web are not in the log")
    assert "the queue was full" in found.what
    (path,) = workspace.losses.iterdir()
    assert str(path) in found.remedy
