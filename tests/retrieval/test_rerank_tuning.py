from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.metrics.ranking import reciprocal_rank
from ragdiag.records import Hit, Passage
from ragdiag.retrieval.rerank import Reranker
from ragdiag.retrieval.rerank_tuning import (
    RerankEvidence,
    RerankSetting,
    Scale,
    choose_reranking,
    reciprocal_rank_at,
)
from ragdiag.version import RerankerSpec

halves = st.integers(-4, 4).map(lambda half: half / 2)
lists = st.lists(st.tuples(halves, halves, st.booleans()), min_size=1, max_size=15)


class Given:
    """Says the logits that it was given, in the order of the passages' numbers."""

    def __init__(self, logits: list[float]) -> None:
        self._logits = logits

    def logits(self, question: str, texts: list[str], batch: int) -> np.ndarray:
        return np.array([self._logits[int(text)] for text in texts])


@given(
    lists,
    st.integers(1, 15),
    st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    st.sampled_from([1, 3]),
    st.sampled_from(["probability", "log_odds"]),
)
def test_ranks_are_those_that_serving_gives(
    rows: list[tuple[float, float, bool]], depth: int, weight: float, slope: int, scale: Scale
) -> None:
    logits, fused = [row[0] for row in rows], sorted((row[1] for row in rows), reverse=True)
    relevant = [row[2] for row in rows]
    evidence = RerankEvidence(np.array(logits)[:depth], np.array(fused), np.array(relevant))
    found = reciprocal_rank_at(evidence, RerankSetting(depth, weight, slope, -0.5, scale))
    passages = {f"p{n}": Passage(f"p{n}", "d", str(n)) for n in range(len(rows))}
    fitted = {"depth": depth, "weight": weight, "slope": slope, "offset": -0.5, "scale": scale}
    spec = RerankerSpec.model_validate({"model": "m", **fitted})
    hits = [Hit(f"p{n}", score) for n, score in enumerate(fused)]
    served = Reranker(passages, spec, Given(logits)).rerank("Why?", hits)  # type: ignore[arg-type]
    grades = [int(relevant[int(hit.passage_id[1:])]) for hit in served]
    assert found == pytest.approx(reciprocal_rank(grades, 10))


def questions(
    n: int, fused_knows: float, model_knows: float, seed: int = 0
) -> list[RerankEvidence]:
    """Twenty hits; fusion and the model each lift the relevant one with their own luck."""
    chance = np.random.default_rng(0)
    made = []
    for _ in range(n):
        gold = int(chance.integers(20))
        fused, logits = chance.random(20) * 0.8, chance.normal(scale=1.5, size=20) - 2
        fused[gold] = 1.0 if chance.random() < fused_knows else fused[gold]
        logits[gold] = 3.5 if chance.random() < model_knows else logits[gold]
        order = np.argsort(-fused)
        made.append(RerankEvidence(logits[order], fused[order], order == gold))
    return made


def test_two_that_know_different_things_are_mixed() -> None:
    choice = choose_reranking(questions(300, 0.6, 0.6), [10, 20])
    assert 0.1 <= choice.setting.weight < 1
    assert choice.setting.depth == 20
    assert choice.setting.slope > 0
    assert choice.against_none.difference.low > 0
    assert choice.against_alone.difference.low > 0
    assert choice.n == 300
    assert len(choice.folds) == 5


def test_scores_that_lie_close_together_are_mixed_as_log_odds() -> None:
    chance = np.random.default_rng(0)
    made = []
    for _ in range(300):
        gold = int(chance.integers(20))
        fused, logits = chance.normal(size=20), chance.normal(size=20) / 10
        fused[gold] += 1.5
        logits[gold] += 0.15
        order = np.argsort(-fused)
        made.append(RerankEvidence(logits[order], fused[order], order == gold))
    choice = choose_reranking(made, [20])
    assert choice.setting.scale == "log_odds"
    assert choice.against_none.difference.low > 0


@pytest.mark.parametrize("knows", [0.0, 0.5])
def test_a_reranker_that_adds_nothing_is_left_out(knows: float) -> None:
    choice = choose_reranking(questions(120, 1.0, knows), [10, 20])
    assert choice.setting.depth == 0
    assert [fold.depth for fold in choice.folds] == [0] * 5
    assert choice.against_none.difference.value == 0


def test_nor_is_a_gain_within_one_standard_error_taken() -> None:
    """It wins two questions, loses one, and says of the others what fusion says."""
    fused, logits = np.array([1.0, 0.9, 0.0]), np.array([3.0, -3.0, -3.0])
    first, second = np.arange(3) == 0, np.arange(3) == 1
    won, lost = (RerankEvidence(logits[[1, 0, 2]], fused, gold) for gold in (second, first))
    same = RerankEvidence(logits, fused, first)
    choice = choose_reranking([*[same] * 97, won, won, lost], [3])
    assert choice.setting.depth == 0
    assert choose_reranking([*[same] * 60, *[won] * 40], [3]).setting.depth == 3


def test_no_deeper_than_it_pays() -> None:
    """What is relevant is among the first ten, so that the rest is read in vain."""
    near = [one for one in questions(400, 0.0, 0.9) if one.relevant[:10].any()]
    assert choose_reranking(near, [10, 20]).setting.depth == 10


def test_few_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="49 judged questions"):
        choose_reranking(questions(49, 0.5, 0.5), [10, 20])
