"""Two tuned retrievers become one, which is measured and judged as they were."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ragdiag.errors import InputError, TrainingError
from ragdiag.records import Passage
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.results import find_version, latest_build
from ragdiag.store.training_runs import TrainingRun, save_run
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.data.sets import load_set
from ragdiag.training.run_folder import run_folder
from ragdiag.training.runs import RunFacts, facts_of
from ragdiag.workflows.tuning.averaging import _together, _unseen, average_retrievers
from ragdiag.workflows.tuning.data import LearnFrom
from ragdiag.workflows.tuning.retriever import RetrieverTuning, tune_retriever
from tests.workflows.aliases import THINGS, fill

pytestmark = pytest.mark.xdist_group("averaged")

TUNING = RetrieverTuning(method="lora", epochs=2, batch=16, learning_rate=2e-3)
SEEDS = (0, 1)

Made = tuple[Workspace, list[TrainingRun]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    workspace = Workspace(tmp_path_factory.mktemp("averaged") / "workspace")
    lake, version = fill(workspace)
    add_documents(lake, [Passage("news", "news", "A notice of nothing in particular.")])
    runs = [
        tune_retriever(lake, workspace, version, replace(TUNING, learn=LearnFrom(seed=seed)))
        for seed in SEEDS
    ]
    assert all(run is not None for run in runs)
    close_lakes()
    yield workspace, [run for run in runs if run is not None]
    close_lakes()


@pytest.fixture
def lake(made: Made) -> Lake:
    return open_lake(made[0])


def texts_of(*pairs: Pair) -> dict[str, str]:
    return {pair.passage_id: f"All that is known of {pair.passage_id}." for pair in pairs}


def test_sentences_are_no_labels_so_their_passages_may_be_held_out() -> None:
    asked = Pair("q", "What does a kayak weigh?", "kayak")
    sentence = Pair("sentence:kayak", "it floats on every lake", "kayak", "sentence")
    other = Pair("r", "Who mends an anvil?", "anvil")
    held = TrainingSet([asked], texts_of(asked))
    learnt = TrainingSet([other, sentence], texts_of(other, sentence))
    assert _unseen(held, learnt).pairs == [asked]
    same = replace(sentence, question="what does a KAYAK weigh")
    assert not _unseen(held, TrainingSet([other, same], texts_of(other, same))).pairs


def test_what_was_nearly_learnt_is_not_held_out() -> None:
    words = " ".join(f"word{at}" for at in range(60))
    texts = {"old": words, "new": f"{words} more", "apart": "Nothing of the kind is said here."}
    gold = Pair("q", "Where do we keep the anvil?", "old")
    learnt = TrainingSet([gold], {"old": texts["old"]})
    copy = Pair("p", "Who made that thing?", "new")
    wording = Pair("w", "where do we keep THE anvil", "apart")
    free = Pair("f", "When does it rain?", "apart")
    held = TrainingSet([copy, wording, free], texts)
    assert _unseen(held, learnt).pairs == [free]


def test_a_question_and_its_variants_are_all_learnt_and_each_once() -> None:
    asked = Pair("q", "Who mends an anvil?", "anvil")
    variants = [replace(asked, question=words) for words in ("anvil mend", "who mends anvils")]
    texts = texts_of(asked)
    together = _together([TrainingSet([asked, one], texts) for one in variants])
    assert sorted(pair.question for pair in together.pairs) == [
        "Who mends an anvil?",
        "anvil mend",
        "who mends anvils",
    ]


@pytest.mark.slow
def test_the_mean_is_measured_on_what_no_part_has_learnt(made: Made, lake: Lake) -> None:
    workspace, runs = made
    told: list[float] = []
    ids = [run.run_id for run in runs]
    run = average_retrievers(lake, workspace, ids, "mean", lambda done, _: told.append(done))
    facts = facts_of(run)
    assert (run.kind, run.state, facts.method) == ("retriever", "done", "average")
    assert facts.options == {"runs": sorted(ids), "learn": {"test": "test"}}
    assert told == sorted(told)
    by_name = {one.name: one.changes[0] for one in facts.measured}
    assert by_name["test"].after.n == 28
    assert by_name["test"].before.value < by_name["test"].after.value
    assert facts.gate is not None
    assert facts.candidate is not None
    folder = run_folder(workspace, run.run_id)
    folder.verify()
    version = find_version(lake, "mean")
    assert facts.candidate.version_id == version.version_id
    assert version.spec.embedder is not None
    assert version.spec.embedder.model == str(folder.model)
    assert version.spec.embedder.adapter is None
    build = latest_build(lake, version.spec.index_key)
    assert build is not None
    assert build.passages == 2 * len(THINGS), "as the version that was tuned"

    sets = [load_set(run_folder(workspace, name).root) for name in ids]
    learnt = {pair.question_id for one in sets for pair in one.pairs}
    assert facts.data is not None
    assert facts.data.pairs == len(learnt) == len(load_set(folder.root).pairs)
    dev = {pair.question_id for pair in load_set(run_folder(workspace, ids[0]).root, "dev").pairs}
    assert facts.data.held_out["dev"] == len(dev - learnt) < len(dev)

    again = facts_of(average_retrievers(lake, workspace, [run.run_id, *ids]))
    assert again.data is not None
    assert again.data.held_out["dev"] == facts.data.held_out["dev"]


def save_like(
    workspace: Workspace, lake: Lake, run: TrainingRun, name: str, facts: RunFacts
) -> str:
    """Another run, of the same files."""
    shutil.copytree(run_folder(workspace, run.run_id).root, run_folder(workspace, name).root)
    save_run(lake, TrainingRun(name, run.kind, "done", facts.to_json()))
    return name


@pytest.mark.slow
def test_what_does_not_fit_together_is_refused(made: Made, lake: Lake) -> None:
    workspace, (run, other) = made
    facts = facts_of(other)
    learn = {**facts.options["learn"], "test": "another"}
    unlike = {
        "another version": replace(facts, version="another"),
        "another base": replace(facts, base=replace(facts.base, sha256="0" * 64)),
        "another test split": replace(facts, options={**facts.options, "learn": learn}),
    }
    for place, (what, changed) in enumerate(unlike.items()):
        name = save_like(workspace, lake, other, f"unlike-{place}", changed)
        with pytest.raises(TrainingError, match=f"{name} is of {what} than {run.run_id}"):
            average_retrievers(lake, workspace, [run.run_id, name])
    with pytest.raises(InputError, match="there is a version dense already"):
        average_retrievers(lake, workspace, [run.run_id, other.run_id], "dense")
    with pytest.raises(TrainingError, match="name two runs or more"):
        average_retrievers(lake, workspace, [run.run_id, run.run_id])
    for place, changed in enumerate(
        (replace(facts, method="query-lora"), replace(facts, candidate=None))
    ):
        name = save_like(workspace, lake, other, f"no-encoder-{place}", changed)
        with pytest.raises(TrainingError, match="made no encoder of passages"):
            average_retrievers(lake, workspace, [run.run_id, name])


@pytest.mark.slow
def test_a_part_with_other_files_than_it_made_is_refused(made: Made, lake: Lake) -> None:
    workspace, (run, other) = made
    name = save_like(workspace, lake, other, "tampered", facts_of(other))
    weights = next(run_folder(workspace, name).adapter.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(TrainingError, match="is not as training run tampered made it"):
        average_retrievers(lake, workspace, [run.run_id, name])
