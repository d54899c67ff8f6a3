"""Agreement with people against plain definitions, and intervals against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ragdiag.stats.agreement import agreement, auroc, cohen_kappa


def test_auroc_is_the_share_of_pairs_in_order_ties_half() -> None:
    chance = np.random.default_rng(0)
    scores, labels = chance.integers(0, 6, 60) / 6, chance.integers(0, 2, 60)
    right, wrong = scores[labels == 1], scores[labels == 0]
    pairs = [(a > b) + 0.5 * (a == b) for a in right for b in wrong]
    found = auroc(list(scores), [int(label) for label in labels])
    assert found.value == pytest.approx(float(np.mean(pairs)))
    assert found.low < found.value < found.high


def test_intervals_cover_the_truth_nineteen_times_of_twenty() -> None:
    chance, area, kappas = np.random.default_rng(1), 0, 0
    truth = 0.5 * (1 + math.erf(1 / 2))  # P(N(1, 1) > N(0, 1))
    for _ in range(400):
        labels = [1] * 40 + [0] * 40
        found = auroc([*chance.normal(1, 1, 40), *chance.normal(0, 1, 40)], labels)
        area += found.low <= truth <= found.high
        y = chance.integers(0, 2, 80)
        f = np.where(chance.random(80) < 0.8, y, 1 - y)  # kappa is 0.6
        estimate = cohen_kappa(f.tolist(), y.tolist())
        kappas += estimate.low <= 0.6 <= estimate.high
    assert 0.92 <= area / 400 <= 0.98
    assert 0.92 <= kappas / 400 <= 0.98


def test_what_a_grader_could_not_decide_bounds_its_agreement() -> None:
    found = agreement([1, 0, 0, None], [1, 0, 1, 0], [0.9, 0.1, 0.2, None])
    assert (found.n, found.unknown) == (4, 1)
    assert found.accuracy.value == pytest.approx(2 / 3)
    assert found.bounds == (0.5, 0.75)
    assert (found.sensitivity.value, found.specificity.value) == (0.5, 1)
    assert found.to_json()["bounds"] == [0.5, 0.75]


def test_a_perfect_kappa_claims_no_certainty() -> None:
    found = cohen_kappa([1, 0, 1], [1, 0, 1])
    assert (found.value, found.high, found.n) == (1, 1, 3)
    assert found.low < 0
    assert cohen_kappa([1, 0] * 100, [1, 0] * 100).low > 0.9


def test_one_label_alone_has_neither_kappa_nor_auroc() -> None:
    found = agreement([1, 1], [1, 1], [0.5, 0.7])
    assert found.kappa.reason == found.auroc.reason == "one label only"
    assert found.accuracy.value == 1
    assert agreement([], [], []).to_json()["bounds"] == [None, None]


def test_few_of_one_label_have_a_wider_interval_and_two_have_none() -> None:
    """By 1.96 of DeLong's errors three wrong answers that score alike would exclude .5."""
    scores, labels = [n / 50 for n in range(47)] + [0.2, 0.2, 0.22], [1] * 47 + [0] * 3
    found = auroc(scores, labels)
    assert found.value == pytest.approx(0.7695, abs=0.0001)
    assert found.low < 0.5
    assert found.high > 0.9
    two = auroc(scores[:-1], labels[:-1])
    assert math.isnan(two.low)
    assert (two.n, two.reason) == (49, "no interval: 2 of one label, it takes 3")


def test_scores_that_all_tie_have_an_area_and_no_interval() -> None:
    found = auroc([0.1] * 7, [1, 1, 1, 0, 0, 0, 0])
    assert (found.value, found.n, found.reason) == (0.5, 7, "no interval: all scores tie")
    assert math.isnan(found.low)
    assert math.isnan(found.high)
