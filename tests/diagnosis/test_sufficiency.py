"""Features of a context by hand, and a fit that is refused or that learns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ragdiag.diagnosis.sufficiency import (
    FEATURES,
    LEAST_LABELS,
    Label,
    Sufficiency,
    TooFewLabels,
    calibrate,
    features_of,
    label_of,
)
from ragdiag.generation.sentence_vectors import SentenceVectors
from ragdiag.records import Cause, ContextPassage, Diagnosis, Estimate, Tier
from ragdiag.workflows.diagnosing.sufficiency import SufficiencyRun


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
    assert found.brier.low < found.brier.value < found.brier.high < found.floor
    assert found.brier.n == 150
    again = Sufficiency.from_json(found.to_json())
    assert again == found
    assert again.probability(rows[1]) == found.probability(rows[1])


def test_too_few_labels_are_refused() -> None:
    rows, labels = labelled(LEAST_LABELS - 1)
    with pytest.raises(TooFewLabels, match=f"{LEAST_LABELS} and"):
        calibrate(rows, labels, list(range(len(rows))))
    rows, _ = labelled(100)
    with pytest.raises(TooFewLabels, match="95 did and 5 did not"):
        calibrate(rows, [0] * 5 + [1] * 95, list(range(100)))


def by_document(documents: int, each: int) -> tuple[list[list[float]], list[int], list[int]]:
    """Features and labels go with the document, and no feature says what the label is."""
    chance = np.random.default_rng(1)
    owners = np.arange(documents).repeat(each)
    rows = chance.normal(size=(documents, len(FEATURES)))[owners]
    rows += 0.5 * chance.normal(size=rows.shape)
    return (
        rows.tolist(),
        (chance.random(documents) < 0.5)[owners].astype(int).tolist(),
        owners.tolist(),
    )


def test_folds_that_share_a_document_would_learn_its_label() -> None:
    rows, labels, owners = by_document(20, 10)
    assert calibrate(rows, labels, range(len(rows))).auroc.low > 0.5
    found = calibrate(rows, labels, owners)
    assert found.auroc.low < 0.5
    assert found.brier.high > found.floor
    assert found.documents == 20
    assert Sufficiency.from_json(found.to_json()) == found


def test_requests_that_repeat_a_question_say_no_more_than_one() -> None:
    rows, labels = labelled(150)
    once = calibrate(rows, labels, range(150))
    repeated = calibrate(rows * 10, labels * 10, list(range(150)) * 10)
    assert repeated.auroc.value == pytest.approx(once.auroc.value, abs=0.02)
    widths = [one.auroc.high - one.auroc.low for one in (repeated, once)]
    assert widths[0] == pytest.approx(widths[1], rel=0.2)


def test_too_few_documents_are_refused() -> None:
    rows, labels = labelled(120)
    with pytest.raises(TooFewLabels, match="whole documents cannot be judged: 4 groups, and 5"):
        calibrate(rows, labels, [at % 4 for at in range(120)])


def test_contexts_that_fail_in_one_document_alone_are_refused() -> None:
    rows, _ = labelled(120)
    owners = [at % 10 for at in range(120)]
    with pytest.raises(TooFewLabels, match="every row has the same label"):
        calibrate(rows, [int(owner > 0) for owner in owners], owners)


def test_what_was_learned_is_told_with_its_documents_and_why_there_is_no_interval() -> None:
    rows, labels = labelled(120)
    found = calibrate(rows, labels, [at // 3 for at in range(120)])
    perfect = replace(found, auroc=Estimate(1.0, math.nan, math.nan, 120, "no interval: perfect"))
    told = SufficiencyRun("v", 0, perfect, {"gold": 120}, 0).to_text()
    assert "120 requests about 40 documents, 80 whose prompt sufficed" in told
    assert "AUROC 1.000 (no interval: perfect)" in told
    assert f"Brier {found.brier.value:.3f} ({found.brier.low:.3f}–" in told


def test_a_fit_of_an_earlier_ragdiag_has_no_interval_of_its_brier_score() -> None:
    rows, labels = labelled(150)
    found = calibrate(rows, labels, list(range(150)))
    kept = {**found.to_json(), "brier": found.brier.value}
    del kept["documents"]
    assert Sufficiency.from_json(kept).documents is None
    assert Sufficiency.from_json(kept).brier.value == found.brier.value
    assert np.isnan(Sufficiency.from_json(kept).brier.low)


MENDED = {"r": "low", "g": "high", "g+": "high"}


@pytest.mark.parametrize(
    ("cause", "tier", "y", "level", "label"),
    [
        ("in_context", "B", 1, {}, Label(1, "answers")),
        ("recall_miss", "B", 1, {"none": "low"}, Label(1, "answers")),  # another passage told it
        ("recall_miss", "B", 1, {"none": "high"}, None),  # it needs no context
        ("recall_miss", "B", 1, {}, Label(0, "gold")),
        ("recall_miss", "A", 0, MENDED, Label(0, "answers")),
        ("packing", "A", 0, {"r": "low", "g": "low", "g+": "high"}, Label(0, "answers")),
        ("recall_miss", "A", 0, {"r": "high", "g": "high"}, Label(1, "answers")),
        ("recall_miss", "A", 0, {"r": "low", "g": "low"}, None),
        ("recall_miss", "A", 0, {"r": "unsure", "g": "high"}, None),
        ("in_context", "A", 0, MENDED, Label(1, "answers")),
        ("in_context", "A", 0, {"r": "low", "g": "low"}, None),
        ("recall_miss", "B", 0, {}, Label(0, "gold")),
        ("in_context", "B", None, {}, Label(1, "gold")),
        ("gold_unknown", "C", 0, {}, None),
        ("in_context", "D", None, {}, None),
    ],
)
def test_answers_label_a_context_where_there_are_any(
    cause: Cause, tier: Tier, y: int | None, level: dict[str, str], label: Label | None
) -> None:
    evidence = {"y": y, "level": level, "gold_recall@context": 1.0}
    assert label_of(Diagnosis("r", cause, "ok", "", tier, evidence)) == label


def test_a_prompt_that_lacked_a_gold_passage_is_not_called_sufficient() -> None:
    evidence = {"y": 0, "level": MENDED, "gold_recall@context": 0.5}
    assert label_of(Diagnosis("r", "in_context", "distraction", "g", "A", evidence)) is None
