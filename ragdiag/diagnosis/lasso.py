"""The LASSO by coordinate descent: min over w of ‖y − Xw‖² / 2n + λ‖w‖₁ (Friedman et al. 2010)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SWEEPS = 2000
TOLERANCE = 1e-8
"""In units of a target of variance 1."""


class LinearFit(NamedTuple):
    """ŷ = ``intercept`` + X · ``weights``; weights (d,), in the units of y."""

    intercept: float
    weights: Floats

    def predict(self, x: Floats) -> Floats:
        return self.intercept + x @ self.weights


def lasso(x: Floats, y: Floats, penalty: float) -> Floats:
    """The weights (d,) for X (n, d) and y (n,), without an intercept.

    Each step solves for one weight with the others held: w_j = S(x_jᵀr_j / n, λ) / (x_jᵀx_j / n),
    where r_j is the residual without j and S(z, λ) = sign(z) · max(|z| − λ, 0). A column of zeros
    has weight 0. Ends when no weight moves by more than TOLERANCE.
    """
    n, columns = x.shape
    weights = np.zeros(columns)
    squares = (x * x).sum(axis=0) / n
    residual = y.astype(np.float64)
    for _ in range(SWEEPS):
        moved = 0.0
        for j in np.flatnonzero(squares):
            correlation = float(x[:, j] @ residual) / n + squares[j] * weights[j]
            size = max(abs(correlation) - penalty, 0.0)
            change = np.sign(correlation) * size / squares[j] - weights[j]
            if change:
                residual = residual - change * x[:, j]
                weights[j] += change
                moved = max(moved, abs(change))
        if moved < TOLERANCE:
            break
    return weights


def fit_standardised(x: Floats, y: Floats, penalty: float) -> LinearFit:
    """:func:`lasso` on columns and target of mean 0 and variance 1, told in their own units.

    A column or a target that does not vary has weight 0.
    """
    spread, scale = x.std(axis=0), float(y.std())
    columns = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    target = (y - y.mean()) / (scale if scale > 0 else 1.0)
    weights = lasso(columns, target, penalty) * scale / np.where(spread > 0, spread, 1.0)
    return LinearFit(float(y.mean() - x.mean(axis=0) @ weights), weights)
