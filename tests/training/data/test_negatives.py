"""Hard negatives: found by BM25, by FAISS and in failures; never a gold under any name."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import pytest

from ragdiag.ann_spec import AnnSpec
from ragdiag.errors import TrainingError
from ragdiag.progress import Progress
from ragdiag.records import Passage
from ragdiag.retrieval.ann.index import build_ann
from ragdiag.retrieval.lexical import tokenise
from ragdiag.training.data.examples import Pair
from ragdiag.training.data.finders import bm25_finder, dense_finder, failure_finder
from ragdiag.training.data.negatives import (
    Finder,
    NegativeOptions,
    Teacher,
    mine_negatives,
)
from ragdiag.version import LexicalSpec
from tests.conftest import TOY_PASSAGES, TOY_QUESTIONS

PASSAGES = [Passage(name, name, text) for name, text in TOY_PASSAGES.items()]
PAIRS = [Pair(name, text, gold) for name, (text, gold, _) in TOY_QUESTIONS.items()]


class WordEncoder:
    """Words as hashed coordinates: near is who shares words."""

    model_hash, dimension, title = "words", 64, False

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        vectors = np.full((len(texts), 64), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for word in tokenise(text):
                vectors[row, zlib.crc32(word.encode()) % 64] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def offering(*ids: str) -> Finder:
    return lambda pairs: [list(ids) for _ in pairs]


def test_bm25_and_the_present_model_take_turns_and_never_offer_the_gold() -> None:
    encoder = WordEncoder()
    vectors = encoder.encode([one.text for one in PASSAGES])
    ids = [one.passage_id for one in PASSAGES]
    finders = {
        "bm25": bm25_finder(PASSAGES, LexicalSpec()),
        "dense": dense_finder(encoder, build_ann(vectors, AnnSpec(kind="flat")), ids),
    }
    found = mine_negatives(PAIRS, TOY_PASSAGES, finders)
    for pair in found.pairs:
        assert pair.passage_id not in pair.negatives
        assert len(set(pair.negatives)) == 4
    moon = next(pair for pair in found.pairs if pair.question_id == "q-moon")
    assert moon.negatives[0] == "mars", "it speaks of the Earth too"
    assert set(found.found) == {"bm25", "dense"}
    assert sum(found.found.values()) == 24
    assert found.refused == {"known gold": 6}


def test_what_must_not_be_a_negative_is_refused_by_reason() -> None:
    texts = {**TOY_PASSAGES, "copy": TOY_PASSAGES["tea"].replace(".", "!"), "rest": "More on tea."}
    pair = Pair("q", "How hot is the water?", "tea", "title")
    found = mine_negatives(
        [pair],
        texts,
        {"all": offering("tea", "mate", "copy", "rest", "gone", "coffee", "moon")},
        known={"q": ["mate"]},
        documents={"tea": "d1", "rest": "d1", "coffee": "d2"},
        options=NegativeOptions(per_pair=1),
    )
    assert found.pairs[0].negatives == ("coffee",)
    assert found.refused == {
        "known gold": 2,
        "near-duplicate": 1,
        "same document": 1,
        "text unknown": 1,
    }
    judged = mine_negatives([Pair("q", "?", "tea")], texts, {"all": offering("rest")}, documents={})
    assert judged.pairs[0].negatives == ("rest",), "to a judged question its document may be one"


def teacher(**logits: float) -> Teacher:
    by_text = {TOY_PASSAGES[name]: logit for name, logit in logits.items()}
    return lambda question, texts: [by_text[text] for text in texts]


@pytest.mark.parametrize(
    ("gold", "close", "far"),
    [
        (0.0, -0.10, -0.11),  # σ = .475 = .95 · .5 lies at −0.1001
        (-900.0, -900.05, -900.06),  # ln .95 = −0.0513
        (900.0, 3.0, 2.9),  # σ = .95 lies at 2.944
    ],
)
def test_the_teacher_refuses_from_95_per_cent_of_the_golds_probability(
    gold: float, close: float, far: float
) -> None:
    found = mine_negatives(
        [Pair("q", "How hot?", "tea")],
        TOY_PASSAGES,
        {"all": offering("coffee", "moon")},
        teacher=teacher(tea=gold, coffee=close, moon=far),
    )
    assert found.pairs[0].negatives == ("moon",)
    assert found.pairs[0].teacher == (gold, far)
    assert found.refused == {"teacher": 1}


def test_a_pair_without_negatives_stays_and_none_at_all_is_an_error() -> None:
    pairs = [Pair("q1", "?", "tea"), Pair("q2", "?", "coffee")]
    above = failure_finder({"q1": ["coffee"], "q2": ["coffee"]})
    found = mine_negatives(pairs, TOY_PASSAGES, {"failures": above})
    assert [pair.negatives for pair in found.pairs] == [("coffee",), ()]
    assert found.to_json() == {
        "pairs": 2,
        "without": 1,
        "found": {"failures": 1},
        "refused": {"known gold": 1},
    }
    with pytest.raises(
        TrainingError, match=r"none of 1 pairs has a negative left \(1 known gold\)"
    ):
        mine_negatives(pairs[1:], TOY_PASSAGES, {"failures": above})
    assert mine_negatives(pairs, TOY_PASSAGES, {}).pairs == tuple(pairs)
