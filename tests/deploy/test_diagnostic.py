"""The runbooks' measurement: path by path, against the build before, against the model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragdiag.deploy.diagnostic import diagnose_index
from ragdiag.deploy.prune import prune_builds
from ragdiag.deploy.publish import publish_build, roll_back
from ragdiag.errors import UnknownName
from ragdiag.records import Judgment, Passage, PassageMetadata, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_judgments, add_questions, load_passages
from ragdiag.store.lake import Lake
from ragdiag.version import Version
from tests.stocked import Build


def serve_things(lake: Lake, workspace: Workspace, build: Build, version: Version) -> list[str]:
    """Thirty things are in the build that serves, and each is asked for; their passages' ids."""
    names = [f"thing{n}" for n in range(30)]
    publish_build(workspace, version.spec.index_key, build(*names).build_id, by="test")
    ask_for(lake, names)
    return names


def ask_for(lake: Lake, names: list[str]) -> None:
    add_questions(lake, [Question(f"q-{name}", f"What is {name}?") for name in names])
    add_judgments(lake, [Judgment(f"q-{name}", name, 1, "test") for name in names])


def test_every_path_is_measured_and_passages_are_embedded_again(
    corpus: Lake, workspace: Workspace, build: Build, hybrid: Callable[..., Version]
) -> None:
    version = hybrid("hnsw")
    publish_build(workspace, version.spec.index_key, build(of=version).build_id, by="test")
    found = diagnose_index(corpus, workspace, version)
    assert (found.n, found.previous_id, found.compared) == (6, None, {})
    assert set(found.paths) == {"lexical", "dense", "fused"}
    assert found.paths["lexical"]["recall@10"].value == 1.0
    assert found.embeddings["n"] == 8
    assert found.embeddings["cosine_min"] == pytest.approx(1.0, abs=1e-4)
    assert not found.is_bad
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(document["paths"]["dense"]["MRR@10"]) >= {"value", "low", "high", "n"}


def test_less_gold_than_in_the_build_before_is_bad_beyond_chance(
    corpus: Lake, workspace: Workspace, build: Build, version: Version
) -> None:
    names = serve_things(corpus, workspace, build, version)
    add_documents(corpus, [Passage(name, name, "Nothing is known.") for name in names])
    publish_build(workspace, version.spec.index_key, build("rust").build_id, by="test")
    found = diagnose_index(corpus, workspace, version)
    assert found.n == 36
    assert found.before["lexical"]["recall@10"].value == 1.0
    change = found.compared["lexical", "recall@10"].difference
    assert change.value == pytest.approx(-30 / 36)
    bad = [one for one in found.findings if one.status == "bad"]
    assert len(bad) == 4  # two metrics of two paths
    assert "after Holm over 4" in bad[0].what
    assert bad[0].remedy == "go back: ragdiag index rollback lexical"
    assert found.to_json()["differences"]["fused"]["MRR@10"]["value"] < 0


def test_what_one_document_lost_is_no_proof(
    corpus: Lake, workspace: Workspace, build: Build, version: Version
) -> None:
    """Thirty questions about one document are one loss among seven."""
    names = [f"thing{n}" for n in range(30)]
    add_documents(corpus, [Passage(name, "handbook", f"This is {name}.") for name in names])
    publish_build(workspace, version.spec.index_key, build().build_id, by="test")
    ask_for(corpus, names)
    add_documents(corpus, [Passage(name, "handbook", "Nothing is known.") for name in names])
    publish_build(workspace, version.spec.index_key, build("rust").build_id, by="test")
    found = diagnose_index(corpus, workspace, version)
    change = found.compared["lexical", "recall@10"]
    assert (change.difference.value, change.clusters) == (pytest.approx(-30 / 36), 7)
    assert not found.is_bad


def test_what_is_for_some_readers_only_by_now_is_no_loss_of_the_build(
    corpus: Lake, workspace: Workspace, build: Build, version: Version
) -> None:
    names = serve_things(corpus, workspace, build, version)
    known = {one.passage_id: one for one in load_passages(corpus)}
    acme = PassageMetadata(tenant="acme")
    add_documents(corpus, [replace(known[name], metadata=acme) for name in names[:20]])
    publish_build(workspace, version.spec.index_key, build("rust").build_id, by="test")
    found = diagnose_index(corpus, workspace, version)
    assert (found.n, found.is_bad) == (16, False)
    assert found.paths["lexical"]["recall@10"].value == 1.0


def test_a_build_before_that_was_pruned_is_said_to_be(
    corpus: Lake, workspace: Workspace, build: Build, version: Version
) -> None:
    ids = [build(*names).build_id for names in ((), ("rust",), ("salt",))]
    for build_id in ids:
        publish_build(workspace, version.spec.index_key, build_id, by="test")
    prune_builds(corpus, workspace, datetime.now(UTC))
    roll_back(workspace, version, by="test")
    found = diagnose_index(corpus, workspace, version)
    assert (found.build_id, found.previous_id, found.is_bad) == (ids[1], None, False)
    (told,) = [one for one in found.findings if one.status == "warn"]
    assert f"build {ids[0]}, the one before, was pruned" in told.what
    assert "index build" not in told.remedy


def test_a_build_is_not_held_against_itself(
    corpus: Lake, workspace: Workspace, build: Build, version: Version
) -> None:
    first, second, third = (build(*names).build_id for names in ((), ("rust",), ("salt",)))
    for build_id in (first, second, first, third):
        publish_build(workspace, version.spec.index_key, build_id, by="test")
    prune_builds(corpus, workspace, datetime.now(UTC))
    roll_back(workspace, version, by="test")
    found = diagnose_index(corpus, workspace, version)
    assert (found.build_id, found.previous_id) == (first, None)
    assert any(f"build {second}, the one before, was pruned" in one.what for one in found.findings)


def test_a_build_that_cannot_be_loaded_is_a_finding(
    corpus: Lake, workspace: Workspace, build: Build, version: Version
) -> None:
    with pytest.raises(UnknownName, match="index build lexical"):
        diagnose_index(corpus, workspace, version)
    ids = [build().build_id, build("rust").build_id]
    for build_id in ids:
        publish_build(workspace, version.spec.index_key, build_id, by="test")
    shutil.rmtree(workspace.indexes / ids[0])
    found = diagnose_index(corpus, workspace, version)
    assert not found.is_bad
    assert [one.name for one in found.findings if one.status == "warn"] == ["previous"]
    Path(workspace.indexes / ids[1] / "manifest.json").unlink()
    found = diagnose_index(corpus, workspace, version)
    assert found.is_bad
    assert found.paths == {}
