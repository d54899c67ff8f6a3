"""Where runs learn from: labels, none of them, or what the log and the corpus give."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from ragdiag.errors import SpecError, TrainingError
from ragdiag.records import Judgment, Passage
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_judgments
from ragdiag.store.lake import Lake, close_lakes
from ragdiag.store.results import save_version
from ragdiag.training.run_folder import begin_run
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.tuning.data import LearnFrom
from ragdiag.workflows.tuning.retriever import RetrieverPlan, RetrieverTuning, plan_retriever
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
        thing = next(one for one in THINGS if f"Keeping {one} " in prompt)
        return json.dumps({"question": f"How long does a {thing} {thing[::-1]} {thing}4 last?"})

    faulty_server.says(written)
    learn = LearnFrom(generate=5, writer="writer")
    sources = Counter(pair.source for pair in planned(filled, learn).assembled.train.pairs)
    assert 0 < sources["generated"] <= 5
    assert len(faulty_server.seen) == 5
    with pytest.raises(SpecError, match="of kind 'extractive' writes no questions"):
        LearnFrom(generate=5, writer="dense").assembled(lake, None, title=True)  # type: ignore[arg-type]
    assert writing_price(lake, "writer", 5) == "up to 10 calls and 0.03 USD"
    assert writing_price(lake, "dense", 5) is None


@pytest.mark.slow
def test_a_run_goes_on_with_its_own_pairs_whatever_the_log_has_learnt_since(
    filled: tuple[Lake, Version],
) -> None:
    lake, _ = filled
    plan = planned(filled, LearnFrom())
    folder = begin_run(lake, lake.workspace, plan.config)
    plan.assembled.save(folder.root)
    add_judgments(lake, [Judgment("lamp#blorf", "lamp#quimp", 1, "train")])
    assert planned(filled, LearnFrom()).config != plan.config
    again = planned(filled, LearnFrom(data_of=folder.run_id))
    assert again.config == plan.config
    assert begin_run(lake, lake.workspace, again.config).run_id == folder.run_id
    learnt = again.assembled.train.pairs[0].question_id
    add_judgments(lake, [Judgment(learnt, learnt, 1, "holdout")])
    with pytest.raises(TrainingError, match=f"learns from the question {learnt}, which is kept"):
        planned(filled, LearnFrom(data_of=folder.run_id))
