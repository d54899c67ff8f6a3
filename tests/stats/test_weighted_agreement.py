"""Agreement by labels that were drawn with unequal chances: of the answers, not of the labels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ragdiag.stats.agreement import agreement, auroc
from ragdiag.stats.weighted_agreement import Draw, no_agreement, weighted_agreement

SENSITIVITY, SPECIFICITY = 0.85, 0.93
SCORES = [0.9, 0.8, 0.7, 0.3, 0.6, 0.2, 0.4, 0.1]
GRADED, LABELS = [1, 1, 1, 0, 1, 0, 0, None], [1, 1, 0, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("draw", [Draw(), Draw(0.4), Draw(1.0, 10.0)])
def test_labels_of_one_weight_count_as_ever(draw: Draw) -> None:
    found = weighted_agreement(GRADED, LABELS, SCORES, [draw] * 8)
    assert found == agreement(GRADED, LABELS, SCORES)


def test_a_label_counts_as_often_as_it_stands_for() -> None:
    draws = [Draw(0.25), Draw(0.5), Draw(), Draw(1.0, 3.0)] * 2
    times = [4, 2, 1, 3] * 2
    found = weighted_agreement(GRADED, LABELS, SCORES, draws)
    rows = [
        row
        for row, n in zip(zip(GRADED, LABELS, SCORES, strict=True), times, strict=True)
        for _ in range(n)
    ]
    plain = agreement(*map(list, zip(*rows, strict=True)))  # type: ignore[arg-type]
    for name in ("accuracy", "kappa", "sensitivity", "specificity", "auroc"):
        mine, theirs = getattr(found, name), getattr(plain, name)
        assert mine.value == pytest.approx(theirs.value), name
        assert mine.low <= mine.value <= mine.high or math.isnan(mine.low)
        assert mine.n <= 8
    assert found.bounds == pytest.approx(plain.bounds)
    assert (found.n, found.unknown) == (8, 1)


@pytest.mark.parametrize("rate", [0.8, 0.9])
def test_as_many_labels_of_each_grade_tell_what_the_grader_is_worth(rate: float) -> None:
    """Read as they are, they call a sensitivity of .85 one of .71 and .63, and hold it in none to
    one of ten samples (verification bias)."""
    chance, held, seen = np.random.default_rng(1), 0, []
    for seed in range(60):
        truth = chance.random(2_000) < rate
        graded = np.where(
            truth, chance.random(2_000) < SENSITIVITY, chance.random(2_000) >= SPECIFICITY
        )
        told, draws = [], []
        for grade in (True, False):
            members = np.flatnonzero(graded == grade)
            told += chance.choice(members, 50, replace=False).tolist()
            draws += [Draw(50 / len(members))] * 50
        f, y = graded[told].astype(int).tolist(), truth[told].astype(int).tolist()
        found = weighted_agreement(f, y, [None] * 100, draws, seed)
        seen.append(found.sensitivity.value)
        held += found.sensitivity.low <= SENSITIVITY <= found.sensitivity.high
        assert found.told is not None
        assert found.told["sensitivity"] > found.sensitivity.n  # errors are known more exactly
    assert np.mean(seen) == pytest.approx(SENSITIVITY, abs=0.01)
    assert held >= 54


def test_where_nothing_was_decided_there_is_a_reason() -> None:
    draws = [Draw(), Draw(0.5)]
    found = weighted_agreement([None, None], [1, 0], [None, None], draws)
    assert (found.accuracy.reason, found.sensitivity.n, found.bounds) == ("no rows", 0, (0.0, 1.0))
    alike = weighted_agreement([1, 1], [1, 1], [0.5, 0.7], draws)
    assert alike.kappa.reason == "one label only"
    assert alike.sensitivity.low < 0.4, "two labels are no certainty"
    unknown = no_agreement([1, None], "who knows")
    assert {unknown.accuracy.reason, unknown.auroc.reason, unknown.kappa.reason} == {"who knows"}
    assert unknown.to_json()["bounds"] == [None, None]


def test_light_labels_alone_do_not_hide_heavy_ones() -> None:
    """All wrong answers drawn are of the stratum where each stands for itself."""
    scores, labels = [0.9, 0.8, 0.7, 0.6, 0.75, 0.65, 0.3, 0.2], [1, 1, 1, 1, 1, 0, 0, 0]
    alike = auroc(scores, labels)
    found = auroc(scores, labels, [10.0] * 5 + [1.0] * 3)
    assert found.low < alike.low
    assert auroc(scores, labels, [7.0] * 8).low == pytest.approx(alike.low)
