"""The LASSO against its own optimality conditions, and against plain least squares."""

from __future__ import annotations

import numpy as np
import pytest

from ragdiag.diagnosis.lasso import fit_standardised, lasso


@pytest.mark.parametrize("penalty", [0.0, 0.01, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_weights_meet_the_optimality_conditions(seed: int, penalty: float) -> None:
    """x_jᵀr / n = λ sign(w_j) where w_j ≠ 0, and |x_jᵀr / n| ≤ λ elsewhere."""
    drawn = np.random.default_rng(seed)
    x = drawn.normal(size=(40, 8))
    x[:, 7] = x[:, 6] + 0.1 * x[:, 7]  # two columns that say nearly the same
    y = x @ np.array([2.0, -1.0, 0.5, 0, 0, 0, 1.0, 1.0]) + drawn.normal(size=40)
    weights = lasso(x, y, penalty)
    gradient = x.T @ (y - x @ weights) / 40
    used = weights != 0
    np.testing.assert_allclose(gradient[used], penalty * np.sign(weights[used]), atol=1e-6)
    assert (np.abs(gradient[~used]) <= penalty + 1e-6).all()
    assert used.any() == (penalty < 5)


def test_without_a_penalty_it_is_least_squares() -> None:
    drawn = np.random.default_rng(3)
    x, y = drawn.normal(size=(30, 4)), drawn.normal(size=30)
    np.testing.assert_allclose(lasso(x, y, 0.0), np.linalg.lstsq(x, y)[0], atol=1e-6)


def test_masks_are_told_in_the_units_of_the_target() -> None:
    drawn = np.random.default_rng(4)
    masks = drawn.integers(0, 2, (64, 5)).astype(float)
    target = -3 + masks @ np.array([8.0, 0, 0, -2.0, 0])
    found = fit_standardised(masks, target, 1e-4)
    np.testing.assert_allclose(found.weights, [8, 0, 0, -2, 0], atol=0.01)
    np.testing.assert_allclose(found.predict(masks), target, atol=0.01)


def test_what_does_not_vary_has_no_weight() -> None:
    x = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    assert fit_standardised(x, np.array([0.0, 2.0, 0.0, 2.0]), 0.0).weights.tolist() == [0.0, 2.0]
    assert fit_standardised(x, np.full(4, 7.0), 0.01) == (7.0, pytest.approx([0.0, 0.0]))
