"""Features of a context by hand, and a fit that is refused or that learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ragdiag.diagnosis.sufficiency import (
    FEATURES,
    LEAST_LABELS,
    Sufficiency,
    TooFewLabels,
    calibrate,
    features_of,
)
from ragdiag.generation.sentence_vectors import SentenceVectors
from ragdiag.records import ContextPassage


class Letters:
    """A unit vector of letter counts: an encoder whose cosines can be checked by hand."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = [
            [text.lower().count(c) + 1e-6 for c in "abcdefghijklmnopqrstuvwxyz"] for text in texts
        ]
        found = np.array(rows, dtype=np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def features(question: str, *context: ContextPassage) -> dict[str, float]:
    values = features_of(question, context, SentenceVectors(Letters()))
    return dict(zip(FEATURES, values, strict=True))


def test_features_tell_a_context_that_answers_from_one_that_does_not() -> None:
    question = "How many hours do cats sleep?"
    good = features(
        question,
        ContextPassage("a", "Cats sleep fifteen hours a day.", score=2.0),
        ContextPassage("b", "Dogs bark.", score=1.0),
    )
    bad = features(question, ContextPassage("b", "Dogs bark.", score=1.0))
    assert good["terms"] == pytest.approx(3 / 6)
    assert bad["terms"] == 0.0
    assert good["coverage"] > bad["coverage"] == 0.0
    assert good["cosine"] > bad["cosine"]
    assert (good["margin"], bad["margin"]) == (0.5, 0.0)
    assert (good["answer_type"], bad["answer_type"]) == (1.0, 0.0)


def test_an_empty_context_holds_nothing() -> None:
    assert features("What is tea?") == dict.fromkeys(FEATURES, 0.0) | {"answer_type": 0.5}


def labelled(n: int) -> tuple[list[tuple[float, ...]], list[int]]:
    chance = np.random.default_rng(2)
    labels = (np.arange(n) % 3 > 0).astype(int)
    rows = chance.normal(size=(n, len(FEATURES))) + 1.5 * labels[:, np.newaxis]
    return [tuple(row) for row in rows.tolist()], labels.tolist()


def test_it_learns_what_is_there_and_comes_back_as_it_was_kept() -> None:
    rows, labels = labelled(150)
    found = calibrate(rows, labels, list(range(150)))
    assert found.auroc.low > 0.8
    assert found.brier < found.floor
    again = Sufficiency.from_json(found.to_json())
    assert again == found
    assert again.probability(rows[1]) == found.probability(rows[1])


def test_too_few_labels_are_refused() -> None:
    rows, labels = labelled(LEAST_LABELS - 1)
    with pytest.raises(TooFewLabels, match=f"{LEAST_LABELS} and"):
        calibrate(rows, labels, list(range(len(rows))))
    rows, _ = labelled(100)
    with pytest.raises(TooFewLabels, match="5 without"):
        calibrate(rows, [0] * 5 + [1] * 95, list(range(100)))
