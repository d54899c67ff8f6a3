"""From judged questions to a tuned version: it learns, it is measured, it is judged, it waits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ragdiag.errors import (
    InputError,
    ModelError,
    RunCancelled,
    SpecError,
    TrainingError,
    UnknownName,
)
from ragdiag.pipeline import open_pipeline
from ragdiag.progress import Progress
from ragdiag.records import IndexBuild, Passage
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.regressions import Regression, add_regressions
from ragdiag.store.results import find_version, list_builds, save_version
from ragdiag.store.training_runs import TrainingRun, list_runs
from ragdiag.training.adapters import LoraOptions
from ragdiag.training.data.examples import TrainingSet
from ragdiag.training.data.sets import load_set
from ragdiag.training.retriever.bi_encoder_options import choose_pairs
from ragdiag.training.run_folder import run_folder
from ragdiag.training.runs import RunFacts, facts_of
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.tuning.data import REPORT, LearnFrom
from ragdiag.workflows.tuning.reranker import RerankerTuning, tune_reranker
from ragdiag.workflows.tuning.retriever import RetrieverTuning, plan_retriever, tune_retriever
from ragdiag.workflows.tuning.run_facts import refused_by_reason
from tests.workflows.aliases import fill

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tuned retriever")]

TUNING = RetrieverTuning(epochs=4, batch=16, learning_rate=2e-3)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, TrainingRun]]:
    workspace = Workspace(tmp_path_factory.mktemp("tuned") / "workspace")
    lake, version = fill(workspace)
    add_documents(lake, [Passage("news", "news", "A notice of nothing in particular.")])
    add_regressions(lake, [Regression("bell#quimp", reason="was wrong in May")])
    run = tune_retriever(lake, workspace, version, replace(TUNING, save_as="dense-tuned"))
    assert run is not None
    close_lakes()
    yield workspace, run
    close_lakes()


@pytest.fixture
def lake(tuned: tuple[Workspace, TrainingRun]) -> Lake:
    return open_lake(tuned[0])


@pytest.fixture
def facts(tuned: tuple[Workspace, TrainingRun]) -> RunFacts:
    return facts_of(tuned[1])


def test_what_was_learnt_is_of_use_on_things_it_never_saw(facts: RunFacts) -> None:
    by_name = {one.name: one for one in facts.measured}
    assert list(by_name) == ["test", "synthetic", "regressions"]
    mrr = by_name["test"].changes[0]
    assert (mrr.metric, mrr.before.n) == ("MRR@10", 28)
    assert mrr.before.value < 0.85 < mrr.after.value
    assert mrr.p is not None
    assert mrr.p < 0.05
    assert set(by_name["test"].slices) == {"blorf", "quimp"}
    assert len(facts.gained) > len(facts.lost)
    assert facts.gained[0].before != facts.gained[0].after == 1


def test_the_gate_is_that_of_every_release_and_nothing_is_promoted(
    lake: Lake, facts: RunFacts
) -> None:
    assert facts.gate is not None
    assert facts.gate.decision in ("pass", "inconclusive")  # 28 questions are too few to pass
    assert facts.gate.reasons
    assert [(one.learned, one.unseen) for one in facts.overfit] == [("test", "synthetic")]
    assert facts.candidate is not None
    tuned = find_version(lake, "dense-tuned")
    assert facts.candidate.version_id == tuned.version_id


def test_documents_stay_as_they_are(lake: Lake) -> None:
    base, tuned = find_version(lake, "dense"), find_version(lake, "dense-tuned")
    assert tuned.spec.index_key == base.spec.index_key
    builds: list[IndexBuild] = list_builds(lake, base.spec.index_key)
    assert len(builds) == 1


def test_the_run_says_what_it_saw_and_took(
    tuned: tuple[Workspace, TrainingRun], facts: RunFacts
) -> None:
    workspace, run = tuned
    folder = run_folder(workspace, run.run_id)
    folder.verify()
    assert facts.data is not None
    assert load_set(folder.root).data_hash == facts.data.data_hash
    assert facts.data.by_source == {"judgment": facts.data.pairs}
    report = json.loads((folder.root / REPORT).read_text())
    assert facts.data.refused == refused_by_reason(report)
    assert facts.data.refused["kept for evaluation"] >= 1
    assert facts.cost is not None
    assert facts.cost.training_s is not None
    assert 0 < facts.cost.training_s < facts.cost.wall_s, "the rest takes its time as well"
    assert facts.base.name == "all-MiniLM-L6-v2"
    assert facts.artefact == "adapter"


def test_a_stopped_run_goes_on(tuned: tuple[Workspace, TrainingRun], lake: Lake) -> None:
    workspace, _ = tuned
    version = find_version(lake, "dense")
    tuning = replace(TUNING, learn=LearnFrom(seed=1), save_as="dense-again")

    def stop_at(word: str) -> TrainingRun:
        def stop(fraction: float, message: str) -> None:
            if message.startswith(word):
                running = list_runs(lake)[0]
                run_folder(workspace, running.run_id).ask_to_stop()

        with pytest.raises(RunCancelled, match="was stopped; the same command goes on"):
            tune_retriever(lake, workspace, version, tuning, stop)
        stopped = list_runs(lake)[0]
        assert stopped.state == "cancelled"
        return stopped

    begun = stop_at("step 3 ")
    trained = stop_at("ranked 1 of ")
    assert trained.run_id == begun.run_id
    assert find_version(lake, "dense-again")
    told: list[str] = []
    again = tune_retriever(lake, workspace, version, tuning, lambda _, said: told.append(said))
    assert again is not None
    assert (again.run_id, again.state) == (begun.run_id, "done")
    assert not [one for one in told if one.startswith("step ")], "it is not trained again"


def test_with_another_corpus_it_is_another_run(
    tuned: tuple[Workspace, TrainingRun], lake: Lake
) -> None:
    workspace, run = tuned
    version = find_version(lake, "dense")
    embedder = version.spec.embedder
    assert embedder is not None

    def planned() -> dict[str, object]:
        return plan_retriever(lake, workspace, version, embedder, TUNING).config

    before = planned()
    assert before["base"] == facts_of(run).base.sha256
    add_documents(lake, [Passage("more", "more", "Another notice of nothing.")])
    after = planned()
    assert {name for name in before if before[name] != after[name]} == {"dev"}


def test_what_cannot_be_tuned_says_why(tuned: tuple[Workspace, TrainingRun], lake: Lake) -> None:
    workspace, _ = tuned
    words = Version("words", parse_spec("[lexical]\n[generator]\nkind='extractive'", source="toy"))
    save_version(lake, words)
    with pytest.raises(SpecError, match="version words has no embedder"):
        tune_retriever(lake, workspace, words, TUNING)
    dense = find_version(lake, "dense")
    learn = LearnFrom(split="test")
    with pytest.raises(InputError, match="'test' cannot be learned from and tested on"):
        tune_retriever(lake, workspace, dense, replace(TUNING, learn=learn))
    with pytest.raises(InputError, match="there is a version words already"):
        tune_retriever(lake, workspace, dense, replace(TUNING, save_as="words"))
    with pytest.raises(UnknownName, match="there is no split 'holdout'"):
        tune_retriever(lake, workspace, dense, replace(TUNING, learn=LearnFrom(test="holdout")))
    with pytest.raises(UnknownName, match="no question is judged in the split 'trian'"):
        tune_retriever(lake, workspace, dense, replace(TUNING, learn=LearnFrom(split="trian")))
    unlabelled = LearnFrom(None, from_failures=True)
    with pytest.raises(InputError, match="which passage a failed request lost is told by labels"):
        tune_retriever(lake, workspace, dense, replace(TUNING, learn=unlabelled))


def test_a_slip_is_told_before_anything_is_mined(
    tuned: tuple[Workspace, TrainingRun], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _ = tuned
    dense, runs = find_version(lake, "dense"), list_runs(lake)

    def mined(*_: object, **__: object) -> None:
        raise AssertionError("it was mined")

    monkeypatch.setattr(LearnFrom, "assembled", mined)
    wrong: list[tuple[RetrieverTuning, type[Exception], str]] = [
        (replace(TUNING, learn=LearnFrom(test="nope")), UnknownName, "no split 'nope'"),
        (replace(TUNING, save_as="dense-tuned"), InputError, "a version dense-tuned already"),
        (replace(TUNING, loss="kl"), InputError, "loss kl learns from a teacher"),
        (replace(TUNING, loss="kl", teacher="/none"), ModelError, "/none"),
        (
            replace(TUNING, lora=LoraOptions(target_modules=("x",))),
            TrainingError,
            "a bert model has no module x; name some in target_modules: it has ",
        ),
    ]
    for tuning, error, told in wrong:
        with pytest.raises(error, match=told):
            tune_retriever(lake, workspace, dense, tuning)
    base = RerankerTuning(base="/nonexistent")
    with pytest.raises(ModelError, match="no model to train from at /nonexistent"):
        tune_reranker(lake, workspace, dense, base)
    for rate in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="nothing is learnt at the learning rate"):
            RetrieverTuning(learning_rate=rate)
    assert list_runs(lake) == runs


def test_a_workspace_that_was_moved_still_answers(
    tuned: tuple[Workspace, TrainingRun], tmp_path: Path
) -> None:
    root = tuned[0].root
    close_lakes()
    moved = Workspace(root.rename(tmp_path / "moved"))
    try:
        lake = open_lake(moved)
        version = find_version(lake, "dense-tuned")
        assert version.spec.embedder is not None
        assert str(version.spec.embedder.question_adapter).startswith(str(moved.root))
        assert open_pipeline(lake, moved, version).ask("What is the blorf of the bell?").context
    finally:
        close_lakes()
        moved.root.rename(root)


class OrderlyTeacher:
    """Finds the passages less relevant one after the other."""

    def __init__(self, model: str, cache: Path) -> None:
        assert model == "taught"

    def __call__(self, question: str, texts: Sequence[str]) -> list[float]:
        return [-1.0 * at for at in range(len(texts))]

    def teach(self, data: TrainingSet, progress: Progress | None = None) -> TrainingSet:
        pairs = [replace(p, teacher=tuple(self("", ["", *p.negatives]))) for p in data.pairs]
        return TrainingSet(pairs, data.texts)


def test_a_teachers_scores_are_there_for_the_losses_that_learn_from_them(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragdiag.workflows.tuning.retriever.Teacher", OrderlyTeacher)
    lake, version = fill(workspace)
    assert version.spec.embedder is not None
    learn = LearnFrom(augment=1)
    tuning = replace(TUNING, loss="margin_mse", teacher="taught", learn=learn)
    plan = plan_retriever(lake, workspace, version, version.spec.embedder, tuning)
    assert choose_pairs(plan.assembled.train, plan.options)
    untaught = replace(tuning, teacher=None)
    with pytest.raises(InputError, match="name a cross-encoder with --teacher"):
        plan_retriever(lake, workspace, version, version.spec.embedder, untaught)
    close_lakes()
