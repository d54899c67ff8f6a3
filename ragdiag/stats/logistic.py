"""A small logistic regression, and how far its probabilities can be believed.

P(y = 1 | x) = σ(w·z + b) with z the standardised features; w minimises the log-loss plus
ridge·‖w‖²/2n, the offset is not penalised. A feature without spread gets weight 0. What is
reported is cross-validated: every row is judged by a fit that has not seen its group.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FOLDS = 5
BINS = 5


@dataclass(frozen=True, slots=True)
class Logistic:
    """``means``, ``scales`` and ``weights`` by feature, in the order they were fitted in."""

    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    offset: float

    def probabilities(self, features: Sequence[Sequence[float]]) -> Floats:
        """P(y = 1) of each row (n, d), shape (n,)."""
        rows = np.asarray(features, dtype=np.float64).reshape(-1, len(self.weights))
        z = (rows - np.array(self.means)) / np.array(self.scales)
        return _sigmoid(z @ np.array(self.weights) + self.offset)


def fit_logistic(
    features: Sequence[Sequence[float]], labels: Sequence[int], ridge: float = 1.0
) -> Logistic:
    """Rows (n, d) and labels 0 or 1. Raises ValueError where all labels are the same.

    >>> model = fit_logistic([[0.0], [1.0], [2.0], [3.0]] * 10, [0, 0, 1, 1] * 10)
    >>> [bool(p > 0.5) for p in model.probabilities([[0.0], [3.0]])]
    [False, True]
    """
    from scipy.optimize import minimize

    rows, truth = np.asarray(features, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if len(set(truth.tolist())) < 2:
        raise ValueError("every row has the same label")
    means, spread = rows.mean(axis=0), rows.std(axis=0)
    scales = np.where(spread > 0, spread, 1.0)
    z = (rows - means) / scales

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, logits = parameters[:-1], z @ parameters[:-1] + parameters[-1]
        error = _sigmoid(logits) - truth
        slope = np.append(z.T @ error + ridge * weights, error.sum()) / len(truth)
        total = (np.logaddexp(0, logits) - truth * logits).sum() + ridge * (weights**2).sum() / 2
        return float(total / len(truth)), slope

    found = minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return Logistic(
        tuple(means.tolist()), tuple(scales.tolist()), tuple(found[:-1].tolist()), float(found[-1])
    )


def held_out(
    features: Sequence[Sequence[float]],
    labels: Sequence[int],
    groups: Sequence[Hashable],
    seed: int = 0,
) -> Floats:
    """P(y = 1) of each row by a fit over the other FOLDS − 1 folds of whole groups, shape (n,).

    Raises ValueError with fewer than FOLDS groups, or where a fold leaves one label only.
    """
    names = sorted(set(groups), key=str)
    if len(names) < FOLDS:
        raise ValueError(f"{len(names)} groups, and {FOLDS} are needed")
    order = np.random.default_rng(seed).permutation(len(names)) % FOLDS
    fold_of = dict(zip(names, order.tolist(), strict=True))
    folds = np.array([fold_of[group] for group in groups])
    rows, truth = np.asarray(features, dtype=np.float64), np.asarray(labels)
    found = np.zeros(len(truth))
    for fold in range(FOLDS):
        model = fit_logistic(rows[folds != fold], truth[folds != fold].tolist())
        found[folds == fold] = model.probabilities(rows[folds == fold])
    return found


def calibration_bins(
    probabilities: Sequence[float], labels: Sequence[int]
) -> list[tuple[float, float, int]]:
    """Mean probability, share of ones and n of each of BINS equal parts of 0 … 1; empty ones are
    left out.

    >>> calibration_bins([0.1, 0.1, 0.9], [0, 1, 1])
    [(0.1, 0.5, 2), (0.9, 1.0, 1)]
    """
    p, y = np.asarray(probabilities), np.asarray(labels, dtype=float)
    at = np.minimum((p * BINS).astype(int), BINS - 1)
    return [
        (float(p[at == one].mean()), float(y[at == one].mean()), int((at == one).sum()))
        for one in range(BINS)
        if (at == one).any()
    ]


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)))
