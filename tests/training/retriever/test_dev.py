"""The dev search holds every gold passage, and scores as the plain definition does."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from ragdiag.errors import TrainingError
from ragdiag.training.retriever.dev import DevSet

TEXTS = {f"p{at}": f"passage {at} on {'masks' if at % 10 == 0 else 'other'}" for at in range(60)}
DEV = DevSet(
    questions={"q1": "what of masks?", "q2": "who knows?", "unjudged": "?"},
    judgments={"q1": {"p41": 2, "p42": 1, "p1": 0}, "q2": {"p7": 1, "gone": 1}, "q9": {"p1": 1}},
    texts=TEXTS,
)


def test_a_part_of_the_corpus_holds_gold_what_is_like_it_and_some_by_chance() -> None:
    found = DEV.passages(15, seed=0)
    assert len(set(found)) == 15
    assert found[:3] == ["p41", "p42", "p7"]
    assert set(found[3:9]) == {"p0", "p10", "p20", "p30", "p40", "p50"}, "BM25's"
    assert DEV.passages(15, seed=0) == found
    assert DEV.passages(15, seed=1)[9:] != found[9:]
    assert DEV.passages(15, seed=1)[:9] == found[:9]
    assert sorted(DEV.passages(60, seed=0)) == sorted(TEXTS)
    assert DEV.passages(1, seed=0) == ["p41", "p42", "p7"]


def test_the_score_is_that_of_exact_search() -> None:
    ids = ["p7", "p42", "p1", "p41"]
    vectors = torch.eye(4)
    questions = torch.tensor([[0.1, 0.9, 0.5, 0.2], [0.8, 0.9, 0.0, 0.1]])
    second = 1 / 1.584963  # the discount of rank 2
    one = (1 + 2 / 2) / (2 + second)  # p42, p1, p41, p7, where p41 has grade 2 and p42 grade 1
    other = second / (1 + second)  # p7 comes second, and what is gone cannot come at all
    assert DEV.ndcg(ids, questions, vectors) == pytest.approx((one + other) / 2)


def test_a_model_that_cannot_tell_passages_apart_is_not_good() -> None:
    """Gold passages stand first in what is searched; equal scores must not leave them there."""
    ids = DEV.passages(60, seed=0)
    assert ids[:3] == ["p41", "p42", "p7"]
    alike = DEV.ndcg(ids, torch.zeros(2, 4), torch.zeros(60, 4))
    assert alike == DEV.ndcg(ids[::-1], torch.zeros(2, 4), torch.zeros(60, 4))
    ranked = sorted(ids, reverse=True)[:10]  # as trec_eval orders equal scores
    assert "p7" in ranked[:5]
    assert not {"p41", "p42"} & set(ranked)
    second = 1 / 1.584963
    rank = ranked.index("p7") + 1
    assert alike == pytest.approx(1 / math.log2(rank + 1) / (1 + second) / 2, abs=1e-6)


def test_vectors_that_are_no_numbers_are_refused() -> None:
    ids = DEV.passages(60, seed=0)
    with pytest.raises(TrainingError, match="not numbers; lower the learning rate"):
        DEV.ndcg(ids, torch.full((2, 4), torch.nan), torch.zeros(60, 4))


def test_dev_without_gold_is_refused() -> None:
    for judged in ({}, {"q1": {"p1": 0}}, {"q1": {"gone": 1}}):
        with pytest.raises(TrainingError, match="no dev question has a relevant passage"):
            replace(DEV, judgments=judged).passages(10, seed=0)
