"""The run that comes with ragdiag: small, whole, of the packaged model, and told as it was."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ragdiag.demo.schedule import TUNED, TUNED_FROM, demo_versions
from ragdiag.demo.shipped import RUN, SHIPPED, read_shipped, register_shipped
from ragdiag.errors import ModelError, TrainingError
from ragdiag.retrieval.adapters import check_adapters, read_manifest
from ragdiag.retrieval.models import DEMO_ADAPTER, PACKAGED_SHA256, adapter_path
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import list_runs
from ragdiag.training.curves import read_curve
from ragdiag.training.loop import CURVE
from ragdiag.training.run_folder import run_folder
from ragdiag.training.runs import facts_of
from ragdiag.version import EmbedderSpec, FusionSpec
from tests.built_demo import BuiltDemo

LARGEST = 2_000_000
"""Bytes: it lies in the repository."""

TUNED_VERSION = next(version for version in demo_versions() if version.name == TUNED)


def test_what_is_shipped_is_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < LARGEST


def test_the_adapter_is_one_for_questions_of_the_packaged_model() -> None:
    manifest = read_manifest(adapter_path(DEMO_ADAPTER))
    assert manifest is not None
    assert (manifest.side, manifest.base_sha256) == ("questions", PACKAGED_SHA256)
    assert TUNED_VERSION.spec.embedder is not None
    check_adapters(TUNED_VERSION.spec.embedder)


def test_the_facts_are_those_of_the_run_that_made_the_adapter() -> None:
    facts, manifest = facts_of(read_shipped()), read_manifest(adapter_path(DEMO_ADAPTER))
    assert manifest is not None
    assert facts.data is not None
    assert facts.data.data_hash == manifest.data_hash
    assert facts.base.sha256 == manifest.base_sha256
    assert (facts.method, facts.version, facts.split) == ("query-lora", TUNED_FROM, "train")
    assert facts.options["lora"]["rank"] == manifest.options["lora"]["rank"]
    scores = [point.score for point in read_curve(SHIPPED / CURVE) if point.score is not None]
    assert max(scores) > scores[0]


def test_the_version_is_the_one_that_the_run_left() -> None:
    before = next(version for version in demo_versions() if version.name == TUNED_FROM)
    held = json.loads((SHIPPED / RUN).read_text(encoding="utf-8"))
    assert TUNED_VERSION.spec.index_key == before.spec.index_key
    assert TUNED_VERSION.spec.embedder == EmbedderSpec(title=True, question_adapter=DEMO_ADAPTER)
    assert TUNED_VERSION.spec.fusion == FusionSpec(kind="convex", alpha=held["alpha"])
    rest = {"embedder": before.spec.embedder, "fusion": before.spec.fusion}
    assert TUNED_VERSION.spec.model_copy(update=rest) == before.spec


def test_it_is_registered_once_with_its_folder(lake: Lake) -> None:
    for _ in range(2):
        register_shipped(lake, lake.workspace, TUNED_VERSION)
    (run,) = list_runs(lake)
    facts, measured = facts_of(run), facts_of(read_shipped())
    assert run.state == "done"
    assert facts.candidate is not None
    assert facts.candidate.version_id == TUNED_VERSION.version_id
    assert replace(facts, candidate=None) == replace(measured, candidate=None)
    folder = run_folder(lake.workspace, run.run_id)
    assert read_curve(folder.root / CURVE) == read_curve(SHIPPED / CURVE)
    folder.verify()


def test_an_adapter_that_was_changed_is_refused(lake: Lake, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(SHIPPED, changed)
    with (changed / "adapter" / "adapter_model.safetensors").open("ab") as file:
        file.write(b"!")
    with pytest.raises(TrainingError, match=r"adapter_model.safetensors is not as training run"):
        register_shipped(lake, lake.workspace, TUNED_VERSION, changed)
    with pytest.raises(ModelError, match=r"adapter_model.safetensors is not the file"):
        read_manifest(changed / "adapter")


@pytest.mark.slow
def test_the_tuned_version_answers_and_its_run_is_in_the_registry(small_demo: BuiltDemo) -> None:
    (run,) = list_runs(small_demo.lake)
    candidate = facts_of(run).candidate
    assert run.run_id == read_shipped().run_id
    assert candidate is not None
    rows = small_demo.lake.rows(
        "select count(distinct question_id) as n, count(answer) as answered from requests "
        "where version_id = ? and traffic = 'evaluation'",
        [candidate.version_id],
    )
    assert rows[0]["n"] == 50
    assert rows[0]["answered"] >= 50
