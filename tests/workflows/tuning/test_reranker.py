"""A reranker is trained over what a version retrieves, weighed, measured and judged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ragdiag.errors import InputError
from ragdiag.records import Passage
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.results import find_version, list_builds
from ragdiag.store.training_runs import TrainingRun
from ragdiag.training.run_folder import run_folder
from ragdiag.training.runs import facts_of
from ragdiag.workflows.tuning.data import LearnFrom
from ragdiag.workflows.tuning.reranker import RerankerTuning, tune_reranker
from tests.workflows.aliases import fill

pytestmark = pytest.mark.slow

TRAINING = RerankerTuning(
    learn=LearnFrom(hard=3),
    max_tokens=48,
    depth=10,
    epochs=5,
    learning_rate=2e-4,
    save_as="dense-reranked",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, TrainingRun]]:
    workspace = Workspace(tmp_path_factory.mktemp("reranked") / "workspace")
    lake, version = fill(workspace)
    add_documents(lake, [Passage("news", "news", "A notice of nothing in particular.")])
    run = tune_reranker(lake, workspace, version, TRAINING)
    assert run is not None
    yield workspace, run
    close_lakes()


def test_it_puts_the_passage_first_that_was_second(
    trained: tuple[Workspace, TrainingRun],
) -> None:
    workspace, run = trained
    facts = facts_of(run)
    assert (run.kind, run.state, facts.artefact) == ("reranker", "done", "model")
    folder = run_folder(workspace, run.run_id)
    folder.verify()
    assert json.loads(folder.config.read_text())["base"] == facts.base.sha256
    mrr = facts.measured[0].changes[0]
    assert mrr.before.value < 0.85 < mrr.after.value
    assert facts.gate is not None
    assert facts.gate.decision in ("pass", "inconclusive")
    lake = open_lake(workspace)
    made = find_version(lake, "dense-reranked").spec
    assert made.reranker is not None
    assert (made.reranker.depth, made.reranker.max_tokens) == (10, 48)
    assert len(list_builds(lake, made.index_key)) == 1, "the index is the old one"


def test_what_it_is_tested_on_is_not_learned_from(
    trained: tuple[Workspace, TrainingRun],
) -> None:
    workspace, _ = trained
    lake = open_lake(workspace)
    training = replace(TRAINING, learn=LearnFrom(split="test"))
    with pytest.raises(InputError, match="'test' cannot be learned from and tested on"):
        tune_reranker(lake, workspace, find_version(lake, "dense"), training)


def test_a_name_that_is_taken_is_told_before_training(
    trained: tuple[Workspace, TrainingRun],
) -> None:
    workspace, _ = trained
    lake = open_lake(workspace)
    training = replace(TRAINING, save_as="dense")
    with pytest.raises(InputError, match="there is a version dense already; choose another name"):
        tune_reranker(lake, workspace, find_version(lake, "dense"), training)
