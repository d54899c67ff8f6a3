"""Logistic regression against its own definition, and what its held-out probabilities are worth."""

from __future__ import annotations

import numpy as np
import pytest

from ragdiag.stats.logistic import calibration_bins, fit_logistic, held_out


def drawn(n: int = 300) -> tuple[np.ndarray, list[int]]:
    chance = np.random.default_rng(3)
    rows = chance.normal(size=(n, 3)) * [1.0, 5.0, 0.0] + [0.0, 2.0, 7.0]
    p = 1 / (1 + np.exp(-(1.5 * rows[:, 0] - 0.4 * (rows[:, 1] - 2) + 0.5)))
    return rows, (chance.random(n) < p).astype(int).tolist()


def test_the_gradient_of_the_penalised_loss_vanishes() -> None:
    rows, labels = drawn()
    model = fit_logistic(rows.tolist(), labels, ridge=2.0)
    z = (rows - model.means) / model.scales
    error = model.probabilities(rows.tolist()) - labels
    assert z.T @ error + 2.0 * np.array(model.weights) == pytest.approx(0.0, abs=2e-2)
    assert error.sum() == pytest.approx(0.0, abs=2e-2)
    assert model.weights[0] > 0 > model.weights[1]
    assert model.weights[2] == pytest.approx(0.0, abs=1e-6)


def test_no_row_is_judged_by_a_fit_that_saw_its_group() -> None:
    """Noise that is repeated within a group would look learned if groups were split."""
    chance = np.random.default_rng(0)
    groups = [f"g{n // 4}" for n in range(200)]
    noise = np.repeat(chance.normal(size=(50, 60)), 4, axis=0)
    labels = np.repeat(chance.integers(0, 2, 50), 4).tolist()
    held = held_out(noise.tolist(), labels, groups)
    right = ((held > 0.5) == np.array(labels)).mean()
    seen = fit_logistic(noise.tolist(), labels).probabilities(noise.tolist())
    assert right < 0.65 < ((seen > 0.5) == np.array(labels)).mean()


def test_what_cannot_be_fitted_says_why() -> None:
    with pytest.raises(ValueError, match="same label"):
        fit_logistic([[1.0], [2.0]], [1, 1])
    with pytest.raises(ValueError, match="2 groups, and 5"):
        held_out([[1.0], [2.0]], [0, 1], ["a", "b"])


def test_bins_of_honest_probabilities_lie_on_the_diagonal() -> None:
    chance = np.random.default_rng(1)
    p = chance.random(20_000)
    for said, found, _ in calibration_bins(p.tolist(), (chance.random(20_000) < p).tolist()):
        assert said == pytest.approx(found, abs=0.03)
