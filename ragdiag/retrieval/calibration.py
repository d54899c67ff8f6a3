"""A reranker's logit as the probability that a passage is relevant: σ(slope·logit + offset).

Platt (1999) with his smoothed targets, (n₊ + 1)/(n₊ + 2) and 1/(n₋ + 2), so that perfectly
separated logits do not run to infinity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FOLDS = 5
LEAST_SLOPE = 1e-3
"""A slope of 0 or below would turn the order around: then the logits say nothing to calibrate."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fit over all pairs, and the Brier score (mean squared error, 0 is perfect) of the
    probabilities before and after, each pair judged by a fit that had not seen its question."""

    slope: float
    offset: float
    pairs: int
    relevant: int
    brier_before: float
    brier_after: float


def fit_platt(logits: Sequence[float], relevant: Sequence[bool]) -> tuple[float, float]:
    """Slope and offset that make the labels likeliest. Raises ValueError where all labels are the
    same, or where higher logits are not likelier relevant.

    >>> slope, offset = fit_platt([-2.0, -1.0, 1.0, 2.0] * 25, [False, False, True, True] * 25)
    >>> slope > 1, abs(offset) < 0.01
    (True, True)
    """
    from scipy.optimize import minimize

    x = np.asarray(logits, dtype=np.float64)
    y = np.asarray(relevant, dtype=bool)
    positive, negative = int(y.sum()), int((~y).sum())
    if not positive or not negative:
        raise ValueError("every pair has the same label")
    target = np.where(y, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        z = parameters[0] * x + parameters[1]
        error = _sigmoid(z) - target
        gradient = np.array([(error * x).mean(), error.mean()])
        return float((np.logaddexp(0, z) - target * z).mean()), gradient

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    if found[0] < LEAST_SLOPE:
        raise ValueError("a higher logit does not make a passage likelier relevant")
    return float(found[0]), float(found[1])


def calibrate(
    logits: Sequence[Sequence[float]], relevant: Sequence[Sequence[bool]], seed: int = 0
) -> Calibration:
    """Fit over the pairs of all questions; each inner sequence belongs to one. Raises ValueError as
    :func:`fit_platt`, and below FOLDS questions."""
    n = len(logits)
    if n < FOLDS:
        raise ValueError(f"{n} questions, and {FOLDS} are needed")
    folds = np.random.default_rng(seed).permutation(n) % FOLDS
    before: list[float] = []
    after: list[float] = []
    for fold in range(FOLDS):
        training = [at for at in range(n) if folds[at] != fold]
        slope, offset = fit_platt(*_flat(logits, relevant, training))
        held = _flat(logits, relevant, [at for at in range(n) if folds[at] == fold])
        x, y = np.array(held[0]), np.array(held[1], dtype=float)
        before += ((_sigmoid(x) - y) ** 2).tolist()
        after += ((_sigmoid(slope * x + offset) - y) ** 2).tolist()
    everything = _flat(logits, relevant, range(n))
    slope, offset = fit_platt(*everything)
    return Calibration(
        slope,
        offset,
        len(everything[0]),
        sum(everything[1]),
        float(np.mean(before)),
        float(np.mean(after)),
    )


def _flat(
    logits: Sequence[Sequence[float]], relevant: Sequence[Sequence[bool]], chosen: Sequence[int]
) -> tuple[list[float], list[bool]]:
    return (
        [value for at in chosen for value in logits[at]],
        [value for at in chosen for value in relevant[at]],
    )


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)))
