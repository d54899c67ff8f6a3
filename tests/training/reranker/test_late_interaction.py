"""An adapter learns how questions ask for what passages say, and how passages say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragdiag.errors import ModelError, RunCancelled, TrainingError
from ragdiag.records import Hit
from ragdiag.retrieval.adapters import check_adapters
from ragdiag.retrieval.embed import load_embedder
from ragdiag.retrieval.late_interaction import LateInteraction, encoder_spec, load_late_interaction
from ragdiag.retrieval.rerank import Reranker
from ragdiag.retrieval.vectors import open_cache, passage_text
from ragdiag.settings import Workspace
from ragdiag.training.loop import LoopOptions
from ragdiag.training.reranker.dev import RerankQuestion
from ragdiag.training.reranker.late_interaction import (
    LateOptions,
    TunedLate,
    train_late_interaction,
)
from ragdiag.training.reranker.late_lists import FusedList
from ragdiag.training.reranker.late_task import LateTask
from ragdiag.version import PACKAGED_MODEL, RerankerSpec
from tests.workflows.aliases import THINGS, toys

SPEC = RerankerSpec(
    kind="late_interaction",
    model=PACKAGED_MODEL,
    max_tokens=32,
    depth=4,
    weight=0.9,
    scale="log_odds",
    slope=20.0,
    offset=-5.0,
)
OPTIONS = LateOptions(SPEC, loop=LoopOptions(epochs=3, batch=8, learning_rate=1e-3, patience=9))
PASSAGES = {one.passage_id: one for one in toys()[0]}
TEXTS = {name: passage_text(one, title=True) for name, one in PASSAGES.items()}


def lists(things: Sequence[str]) -> list[FusedList]:
    """Both passages of a thing and of the next one, the wrong one of the thing first."""
    found = []
    for at, thing in enumerate(things):
        other = things[(at + 1) % len(things)]
        for alias, wrong in (("blorf", "quimp"), ("quimp", "blorf")):
            names = (f"{thing}#{wrong}", f"{thing}#{alias}", f"{other}#blorf", f"{other}#quimp")
            name = f"{thing}#{alias}"
            asked = RerankQuestion(name, f"What is the {alias} of the {thing}?", names, {name: 1})
            found.append(FusedList(asked, (1.0, 0.9, 0.1, 0.0)))
    return found


TRAIN, DEV = lists(THINGS[:12]), lists(THINGS[30:36])


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> LateInteraction:
    workspace = Workspace(tmp_path_factory.mktemp("codes"))
    return load_late_interaction(list(PASSAGES.values()), SPEC, open_cache(workspace))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def tuned(scorer: LateInteraction, folder: Path) -> TunedLate:
    return train_late_interaction(TRAIN, DEV, TEXTS, scorer, OPTIONS, folder)


def make_task(
    learnt: Sequence[FusedList],
    dev: Sequence[FusedList],
    scorer: LateInteraction,
    spec: RerankerSpec = SPEC,
    shown: int | None = None,
) -> LateTask:
    return LateTask(learnt, dev, TEXTS, scorer, spec, OPTIONS.lora, seed=0, shown=shown)


def hits(one: FusedList) -> list[Hit]:
    return [Hit(name, share) for name, share in zip(one.asked.candidates, one.shares, strict=True)]


def mean_reciprocal_rank(scorer: LateInteraction, spec: RerankerSpec) -> float:
    reranker = Reranker(PASSAGES, spec, scorer)
    ranks = []
    for one in DEV:
        order = [hit.passage_id for hit in reranker.rerank(one.asked.question, hits(one))]
        ranks.append(1 / (order.index(one.asked.question_id) + 1))
    return float(np.mean(ranks))


def test_what_it_learns_is_what_is_served(
    tuned: TunedLate, scorer: LateInteraction, tmp_path: Path
) -> None:
    assert (tuned.examples, tuned.left_out) == (24, 0)
    adapted = SPEC.model_copy(update={"question_adapter": str(tuned.adapter)})
    cache = open_cache(Workspace(tmp_path))
    served = load_late_interaction(list(PASSAGES.values()), adapted, cache)
    assert tuned.trained.best_score > tuned.trained.first_score + 0.1
    assert mean_reciprocal_rank(served, adapted) > mean_reciprocal_rank(scorer, SPEC) + 0.05


def test_passages_keep_their_word_pieces(tuned: TunedLate, scorer: LateInteraction) -> None:
    adapted = SPEC.model_copy(update={"question_adapter": str(tuned.adapter)})
    untuned = load_embedder(encoder_spec(SPEC))
    assert load_embedder(encoder_spec(adapted)).model_hash == untuned.model_hash


@pytest.mark.parametrize("weight", [1.0, 0.6])
@pytest.mark.parametrize("scale", ["probability", "log_odds"])
def test_before_a_step_lists_are_ordered_as_they_are_served(
    scorer: LateInteraction, weight: float, scale: str
) -> None:
    spec = SPEC.model_copy(update={"weight": weight, "scale": scale})
    task = make_task(TRAIN, DEV, scorer, spec)
    reranker = Reranker(PASSAGES, spec, scorer)
    for values, one in zip(task.served(DEV), DEV, strict=True):
        order = np.argsort(-values.numpy(), kind="stable")
        reranked = reranker.rerank(one.asked.question, hits(one))
        assert [one.asked.candidates[at] for at in order] == [hit.passage_id for hit in reranked]


def test_a_score_is_the_log_of_the_share_of_what_is_relevant(scorer: LateInteraction) -> None:
    hopeless = replace(DEV[0], asked=replace(DEV[0].asked, grades={}))
    task = make_task(TRAIN, [*DEV, hopeless], scorer)
    served = task.served(TRAIN)
    sharp = max(
        np.geomspace(1.0, 100.0, 40),
        key=lambda tried: sum(share(tried * values.numpy(), 1) for values in served),
    )
    plain = [share(sharp * values.numpy(), 1) for values in task.served(DEV)]
    assert task.score() == pytest.approx(float(np.mean(plain)), abs=1e-4)


def share(values: np.ndarray, relevant: int) -> float:
    return float(values[relevant] - np.log(np.exp(values - values.max()).sum()) - values.max())


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    tuned: TunedLate, scorer: LateInteraction, tmp_path: Path
) -> None:
    def stop(share: float, message: str) -> None:
        if share > 0.4:
            raise RunCancelled("enough", remedy="go on")

    with pytest.raises(RunCancelled):
        train_late_interaction(TRAIN, DEV, TEXTS, scorer, OPTIONS, tmp_path, stop)
    again = train_late_interaction(TRAIN, DEV, TEXTS, scorer, OPTIONS, tmp_path)
    name = "adapter_model.safetensors"
    assert (again.adapter / name).read_bytes() == (tuned.adapter / name).read_bytes()


def test_another_run_is_not_gone_on_with(
    tuned: TunedLate, scorer: LateInteraction, folder: Path
) -> None:
    with pytest.raises(TrainingError, match="holds a run with other data or options"):
        train_late_interaction(TRAIN[:20], DEV, TEXTS, scorer, OPTIONS, folder)


def test_lists_in_which_no_order_is_better_are_left_out(
    scorer: LateInteraction, tmp_path: Path
) -> None:
    hopeless = replace(TRAIN[0], asked=replace(TRAIN[0].asked, grades={}))
    alone = replace(TRAIN[1].asked, candidates=(TRAIN[1].asked.question_id,))
    few = [*TRAIN[:7], hopeless, FusedList(alone, (0.0,))]
    with pytest.raises(TrainingError, match="7 of 9 questions have a relevant passage among"):
        train_late_interaction(few, DEV, TEXTS, scorer, OPTIONS, tmp_path)


def test_a_dev_question_is_not_learned(scorer: LateInteraction, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="dev question 'lamp#blorf' is a training question"):
        train_late_interaction(TRAIN, TRAIN[:3], TEXTS, scorer, OPTIONS, tmp_path)


def test_a_question_without_words_costs_nothing(scorer: LateInteraction) -> None:
    silent = replace(TRAIN[0], asked=replace(TRAIN[0].asked, question=""))
    task = make_task([*TRAIN, silent], DEV, scorer)
    task.loss([0, len(TRAIN)]).backward()


def test_an_adapter_of_questions_is_one_of_its_encoder(tuned: TunedLate) -> None:
    check_adapters(encoder_spec(SPEC.model_copy(update={"question_adapter": str(tuned.adapter)})))
    both = encoder_spec(SPEC).model_copy(update={"adapter": str(tuned.adapter)})
    with pytest.raises(ModelError, match="was trained for questions alone"):
        check_adapters(both)


BOTH = replace(
    OPTIONS,
    method="lora",
    shown=3,
    loop=LoopOptions(epochs=3, batch=8, learning_rate=1e-3, patience=9, micro=2),
)


def test_passages_can_be_learned_too(scorer: LateInteraction, tmp_path: Path) -> None:
    tuned = train_late_interaction(TRAIN, DEV, TEXTS, scorer, BOTH, tmp_path)
    assert (tuned.reranker.adapter, tuned.reranker.question_adapter) == (str(tuned.adapter), None)
    untuned = load_embedder(encoder_spec(SPEC))
    assert load_embedder(encoder_spec(tuned.reranker)).model_hash != untuned.model_hash
    cache = open_cache(Workspace(tmp_path / "cache"))
    served = load_late_interaction(list(PASSAGES.values()), tuned.reranker, cache)
    before = mean_reciprocal_rank(scorer, SPEC)
    assert mean_reciprocal_rank(served, tuned.reranker) > before + 0.05


def test_what_learns_passages_is_scored_as_it_is_served(scorer: LateInteraction) -> None:
    frozen, both = (make_task(TRAIN, DEV, scorer, shown=shown) for shown in (None, 3))
    assert both.score() == pytest.approx(frozen.score(), abs=1e-4)


def test_a_list_shows_what_is_relevant_and_what_stands_in_its_way(scorer: LateInteraction) -> None:
    """Of every passage there is, in a list of 40: 6 are shown, 2 of them from farther down."""
    names = (TRAIN[0].asked.question_id, *(n for n in TEXTS if n != TRAIN[0].asked.question_id))
    asked = replace(TRAIN[0].asked, candidates=names[:40])
    whole = FusedList(asked, tuple(np.linspace(1.0, 0.0, 40).tolist()))
    task = make_task([whole], DEV, scorer, shown=7)
    (served,) = task.served([whole])
    order = [asked.candidates[at] for at in np.argsort(-served.numpy(), kind="stable")]
    order.remove(asked.question_id)
    seen = set()
    for _ in range(20):
        first, *others = task.drawn(0).asked.candidates
        assert first == asked.question_id
        assert len({*others}) == len(others) == 6
        assert len({*others} & {*order[:12]}) == 4
        seen.update(others)
    assert {*order[:12]} < seen


def test_one_of_many_relevant_passages_is_shown_with_others(scorer: LateInteraction) -> None:
    names = tuple(TEXTS)[:10]
    asked = replace(TRAIN[0].asked, candidates=names, grades=dict.fromkeys(names[:9], 1))
    task = make_task([FusedList(asked, (1.0,) * 10)], DEV, scorer, shown=4)
    assert len(task.drawn(0).relevant) == 2
