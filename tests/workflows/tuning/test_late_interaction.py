"""How a version's late interaction reads questions is trained, measured and judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ragdiag.errors import InputError, SpecError
from ragdiag.retrieval.adapters import read_manifest
from ragdiag.retrieval.embed import Embedder
from ragdiag.retrieval.late_interaction import load_late_interaction
from ragdiag.retrieval.vectors import open_cache, passage_text
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_passages
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.results import find_version, list_builds, save_version
from ragdiag.store.training_runs import TrainingRun
from ragdiag.training.run_folder import run_folder
from ragdiag.training.runs import facts_of
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.tuning.data import LearnFrom
from ragdiag.workflows.tuning.late_interaction import (
    LateInteractionTuning,
    tune_late_interaction,
)
from tests.workflows.aliases import DENSE, fill

pytestmark = pytest.mark.slow

LATE = f"""{DENSE}
[reranker]
kind = "late_interaction"
model = "all-MiniLM-L6-v2"
max_tokens = 48
depth = 6
weight = 0.9
scale = "log_odds"
slope = 20.0
"""
TUNING = LateInteractionTuning(epochs=3, learning_rate=1e-3, save_as="late-asked")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, TrainingRun]]:
    workspace = Workspace(tmp_path_factory.mktemp("late") / "workspace")
    lake, _ = fill(workspace)
    late = Version("late", parse_spec(LATE, source="late"))
    save_version(lake, late)
    run = tune_late_interaction(lake, workspace, late, TUNING)
    assert run is not None
    yield workspace, run
    close_lakes()


def test_the_version_that_comes_of_it_has_an_adapter_and_is_judged(
    trained: tuple[Workspace, TrainingRun],
) -> None:
    workspace, run = trained
    facts = facts_of(run)
    assert (run.kind, run.state, facts.method) == ("reranker", "done", "query-lora")
    folder = run_folder(workspace, run.run_id)
    folder.verify()
    assert facts.artefact is not None
    manifest = read_manifest(folder.root / facts.artefact)
    assert manifest is not None
    assert (manifest.side, manifest.base_sha256) == ("questions", facts.base.sha256)
    mrr = facts.measured[0].changes[0]
    assert mrr.after.value > mrr.before.value
    assert facts.gate is not None
    lake = open_lake(workspace)
    late, made = (find_version(lake, name).spec for name in ("late", "late-asked"))
    assert made.reranker is not None
    assert made.reranker.model_copy(update={"question_adapter": None}) == late.reranker
    assert len(list_builds(lake, made.index_key)) == 1, "the index is the old one"


def test_passages_that_were_learned_are_encoded_before_they_serve(
    trained: tuple[Workspace, TrainingRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _ = trained
    lake = open_lake(workspace)
    both = replace(TUNING, method="lora", epochs=1, save_as="late-both")
    run = tune_late_interaction(lake, workspace, find_version(lake, "late-asked"), both)
    assert run is not None
    made = find_version(lake, "late-both").spec.reranker
    assert made is not None
    assert made.adapter is not None
    assert made.question_adapter is None, "what was learned over other passages is not kept"
    manifest = read_manifest(run_folder(workspace, run.run_id).root / "adapter")
    assert manifest is not None
    assert manifest.side == "both"
    read = load_passages(lake)
    scorer = load_late_interaction(read, made, open_cache(workspace))
    monkeypatch.delattr(Embedder, "encode_pieces")
    assert all(map(len, scorer.codes_of([passage_text(one, title=True) for one in read], 1)))


def test_what_cannot_be_tuned_is_told_before_training(
    trained: tuple[Workspace, TrainingRun],
) -> None:
    workspace, _ = trained
    lake = open_lake(workspace)
    late, dense = (find_version(lake, name) for name in ("late", "dense"))
    with pytest.raises(SpecError, match="version dense has no late interaction"):
        tune_late_interaction(lake, workspace, dense, TUNING)
    silent = Version("silent", parse_spec(LATE.replace("0.9", "0.0"), source="silent"))
    with pytest.raises(SpecError, match="version silent has no say in the order"):
        tune_late_interaction(lake, workspace, silent, TUNING)
    same = replace(TUNING, learn=LearnFrom(split="test", hard=0))
    with pytest.raises(InputError, match="'test' cannot be learned from and tested on"):
        tune_late_interaction(lake, workspace, late, same)
    with pytest.raises(InputError, match="there is a version dense already"):
        tune_late_interaction(lake, workspace, late, replace(TUNING, save_as="dense"))
    with pytest.raises(InputError, match="nothing is learnt at the learning rate 0"):
        LateInteractionTuning(learning_rate=0.0)
