"""The BCa bootstrap of a mean, in blocks so that memory stays flat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

RESAMPLES = 9_999
BLOCK = 2_000_000
"""Draws held at once, so that a long sample needs no more memory than a short one."""


def bca_interval(values: Sequence[float], seed: int) -> tuple[float, float]:
    """95 % bounds of the mean of at least two values that are not all equal.

    z₀ is the normal quantile of the share of bootstrap means below the mean (ties count half),
    a = Σd³ / (6 (Σd²)^1.5) with d = x − mean, which is the jackknife's acceleration of a mean;
    the bounds are the bootstrap quantiles at Φ(z₀ + (z₀ ± z) / (1 − a (z₀ ± z))).

    >>> low, high = bca_interval([0.0, 0.0, 0.0, 1.0], seed=0)
    >>> low, high
    (0.0, 0.75)
    """
    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    means = bootstrap_means(sample, seed)
    normal = NormalDist()
    # Bootstrap means equal to the mean differ from it by rounding: compare with a tolerance.
    tolerance = 1e-12 * float(np.abs(sample).max())
    below = float(np.mean(means < mean - tolerance))
    ties = float(np.mean(np.abs(means - mean) <= tolerance))
    edge = 1 / (RESAMPLES + 1)
    bias = normal.inv_cdf(min(max(below + ties / 2, edge), 1 - edge))
    deviations = sample - mean
    scale = 6 * float(np.sum(deviations**2)) ** 1.5
    acceleration = float(np.sum(deviations**3)) / scale
    z = normal.inv_cdf(0.975)
    shifted = (bias - z, bias + z)
    levels = [normal.cdf(bias + shift / (1 - acceleration * shift)) for shift in shifted]
    low, high = np.quantile(means, levels)
    return float(low), float(high)


def bootstrap_means(
    sample: npt.NDArray[np.float64], seed: int, resamples: int = RESAMPLES
) -> npt.NDArray[np.float64]:
    """Means of ``resamples`` draws of len(sample) values with replacement, shape (resamples,)."""
    generator = np.random.default_rng(seed)
    rows = max(1, BLOCK // len(sample))
    blocks = []
    for start in range(0, resamples, rows):
        shape = (min(rows, resamples - start), len(sample))
        blocks.append(sample[generator.integers(0, len(sample), size=shape)].mean(axis=1))
    return np.concatenate(blocks) if blocks else np.full(0, math.nan)
