from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ragdiag.training.reranker.dev import RerankDev, RerankQuestion

TEXTS = {"a": "one", "b": "two", "c": "three"}
ASKED = RerankQuestion("q", "Which?", ("a", "b", "c"), {"c": 1, "far": 1})
UNJUDGED = RerankQuestion("u", "What?", ("a",), {"a": 0})


def test_scores_are_of_the_reordered_list_against_every_gold() -> None:
    dev = RerankDev([ASKED, UNJUDGED], TEXTS)
    ideal = 1 + 1 / math.log2(3)
    assert dev.first_stage() == pytest.approx({"MRR@10": 1 / 3, "nDCG@10": 1 / 2 / ideal})
    assert dev.scores([[0.0, -1.0, 0.5], [9.0]])["MRR@10"] == 1.0
    assert dev.scores([[2.0, 2.0, 2.0], [9.0]]) == dev.first_stage(), "ties stay as they came"


def test_its_hash_is_of_everything_that_decides_a_score() -> None:
    dev = RerankDev([ASKED], TEXTS)
    others = [
        RerankDev([replace(ASKED, candidates=("b", "a", "c"))], TEXTS),
        RerankDev([replace(ASKED, grades={"c": 1})], TEXTS),
        RerankDev([ASKED], {**TEXTS, "a": "uno"}),
    ]
    assert dev.data_hash == RerankDev([ASKED], {**TEXTS, "unused": "x"}).data_hash
    assert len({dev.data_hash, *(other.data_hash for other in others)}) == 4
