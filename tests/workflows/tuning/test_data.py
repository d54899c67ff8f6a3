"""Where runs learn from: labels, none of them, or what the log and the corpus give."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ragdiag.errors import InputError, SpecError, TrainingError
from ragdiag.records import Judgment, Passage
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_judgments
from ragdiag.store.lake import Lake, close_lakes
from ragdiag.store.results import save_version
from ragdiag.training.run_folder import begin_run
from ragdiag.version import EmbedderSpec, Version, parse_spec
from ragdiag.workflows.tuning.answer_options import GeneratorTuning
from ragdiag.workflows.tuning.data import REPORT, LearnFrom, keep_data
from ragdiag.workflows.tuning.general import read_general
from ragdiag.workflows.tuning.retriever import RetrieverPlan, RetrieverTuning, plan_retriever
from ragdiag.workflows.tuning.run_facts import refused_by_reason
from ragdiag.workflows.tuning.writing import writing_price
from tests.faulty_server import FaultyServer
from tests.faulty_server import faulty_server as faulty_server
from tests.workflows.aliases import THINGS, fill

TITLED = [
    Passage(
        f"{thing}-care",
        f"{thing}-care",
        " ".join(f"{thing}{n}" for n in range(9)),
        f"Keeping {thing} {thing[::-1]}",
    )
    for thing in THINGS
]


@pytest.fixture
def filled(workspace: Workspace) -> Iterator[tuple[Lake, Version]]:
    yield fill(workspace)
    close_lakes()


def planned(filled: tuple[Lake, Version], learn: LearnFrom) -> RetrieverPlan:
    lake, version = filled
    assert version.spec.embedder is not None
    tuning = RetrieverTuning(learn=learn)
    return plan_retriever(lake, lake.workspace, version, version.spec.embedder, tuning)


@pytest.mark.slow
def test_without_labels_it_learns_from_the_corpus(filled: tuple[Lake, Version]) -> None:
    add_documents(filled[0], TITLED)
    plan = planned(filled, LearnFrom(None))
    assert {pair.source for pair in plan.assembled.train.pairs} == {"title"}
    assert plan.facts.split == "none"
    assert next(one for one in plan.sets if one.name == "test").questions


def served(url: str) -> Version:
    spec = f"[generator]\nkind = 'openai'\nmodel = 'm'\nbase_url = '{url}'\n"
    return Version("writer", parse_spec(f"[lexical]\n{spec}{PRICES}", source="toy"))


PRICES = "prompt_price = 1.0\ncompletion_price = 2.0"


@pytest.mark.slow
def test_a_versions_language_model_writes_questions(
    filled: tuple[Lake, Version], faulty_server: FaultyServer
) -> None:
    lake, _ = filled
    add_documents(lake, TITLED)
    save_version(lake, served(faulty_server.base_url))

    def written(prompt: str) -> str:
        thing = next(one for one in THINGS if one in prompt)
        return json.dumps({"question": f"How long does a {thing} {thing[::-1]} {thing}4 last?"})

    faulty_server.says(written)
    learn = LearnFrom(generate=5, writer="writer")
    sources = Counter(pair.source for pair in planned(filled, learn).assembled.train.pairs)
    assert 0 < sources["generated"] <= 5
    assert len(faulty_server.seen) == 5
    with pytest.raises(SpecError, match="of kind 'extractive' writes no questions"):
        LearnFrom(generate=5, writer="dense").assembled(lake, None, title=True)  # type: ignore[arg-type]
    assert writing_price(lake, "writer", 5) == "up to 10 calls and 0.05 USD"
    assert writing_price(lake, "dense", 5) is None


@pytest.mark.slow
def test_a_run_goes_on_with_its_own_pairs_whatever_the_log_has_learnt_since(
    filled: tuple[Lake, Version],
) -> None:
    lake, _ = filled
    plan = planned(filled, LearnFrom())
    folder = begin_run(lake, lake.workspace, plan.config)
    plan.assembled.save(folder.root)
    skipped = {"disliked": {"n": 2, "examples": ["request-1"]}}
    told = {"joined": {"skipped": skipped}, "without_text": ["request-2"], "purged": 0}
    (folder.root / REPORT).write_text(json.dumps(told))  # as runs once wrote it
    add_judgments(lake, [Judgment("lamp#blorf", "lamp#quimp", 1, "train")])
    assert planned(filled, LearnFrom()).config != plan.config
    again = planned(filled, LearnFrom(data_of=folder.run_id))
    assert again.config == plan.config
    assert refused_by_reason(again.assembled.report) == {"disliked": 2, "without a text": 1}
    keep_data(again.assembled, folder.root, None)
    assert "request-" not in (folder.root / REPORT).read_text()
    assert begin_run(lake, lake.workspace, again.config).run_id == folder.run_id
    for other, said in (
        (LearnFrom(hard=3, mix="pairs.jsonl"), r"\(--negatives 2, --mix none\)"),
        (LearnFrom("test", "train"), r"\(--split train\)"),
    ):
        with pytest.raises(InputError, match=f"with other options {said}; give the same"):
            planned(filled, replace(other, data_of=folder.run_id))
    with pytest.raises(InputError, match="given passages with their titles"):
        LearnFrom(data_of=folder.run_id).assembled(lake, None, title=False)  # type: ignore[arg-type]
    learnt = again.assembled.train.pairs[0].question_id
    add_judgments(lake, [Judgment(learnt, learnt, 1, "holdout")])
    with pytest.raises(TrainingError, match=f"learns from the question {learnt}, which is kept"):
        planned(filled, LearnFrom(data_of=folder.run_id))


def test_sets_of_a_run_that_cannot_be_compared_with_this_one_are_not_taken(
    lake: Lake, workspace: Workspace
) -> None:
    folder = begin_run(lake, workspace, {"kind": "retriever", "tuning": {"learn": {"hard": 9}}})
    folder.config.write_bytes(folder.config.read_bytes()[:20])
    taken = LearnFrom(None, data_of=folder.run_id)
    with pytest.raises(TrainingError, match=r"config\.json, .* cannot be read .*--data-of out"):
        taken.assembled(lake, None, title=False)  # type: ignore[arg-type]


@pytest.mark.slow
def test_general_pairs_are_mixed_in_and_ask_nothing_that_is_held_out(
    filled: tuple[Lake, Version], tmp_path: Path
) -> None:
    rows = [{"question": f"Which star is number {n}?", "passage": f"Star {n}."} for n in range(50)]
    asked = "what is the BLORF of the bell"  # which the test split asks
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(map(json.dumps, [*rows, {"question": asked, "passage": "No."}] * 3)))
    plain = planned(filled, LearnFrom()).assembled
    mixed = planned(filled, LearnFrom(mix=str(file))).assembled
    own, general = (
        [p for p in mixed.train.pairs if (p.source == "general") is wanted]
        for wanted in (False, True)
    )
    assert own == list(plain.train.pairs)
    assert len(general) == round(len(own) / 9), "a tenth of all"
    assert all(mixed.train.texts[pair.passage_id].startswith("Star") for pair in general)
    assert mixed.dev.data_hash == plain.dev.data_hash


@pytest.mark.parametrize("learn", [LearnFrom(hard=0), LearnFrom(mix="pairs.jsonl")])
def test_pairs_without_negatives_are_refused_before_anything_is_read(learn: LearnFrom) -> None:
    tuning = RetrieverTuning(learn=learn, loss="triplet")
    with pytest.raises(InputError, match="no negatives, which the loss triplet needs; leave --"):
        plan_retriever(None, None, None, EmbedderSpec(), tuning)  # type: ignore[arg-type]


def test_what_holds_no_general_pair_is_named(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"question": "Why?"}\n')
    with pytest.raises(InputError, match=r"line 1 of .* is no pair \(.*passage"):
        read_general(file, title=False)
    file.write_text("")
    with pytest.raises(InputError, match="holds no pair to mix in"):
        read_general(file, title=False)
    with pytest.raises(InputError, match="cannot read"):
        read_general(tmp_path / "none.jsonl", title=False)


def test_a_model_that_cannot_be_quantised_here_is_refused_before_anything_is_read() -> None:
    with pytest.raises(TrainingError, match=r"bits = 4 needs .*leave bits out"):
        GeneratorTuning("base", bits=4).check()
    with pytest.raises(TrainingError, match="quantised weights can not be trained themselves"):
        GeneratorTuning("base", method="full", bits=4).check()
    options = RetrieverTuning(cached=8, bits=8, scale=5.0, margin=0.1).options(EmbedderSpec())
    assert (options.cached, options.bits, options.scale, options.margin) == (8, 8, 5.0, 0.1)
