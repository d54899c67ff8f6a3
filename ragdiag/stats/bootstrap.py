"""The BCa bootstrap of a mean, in blocks so that memory stays flat, and the intervals that it takes
part in. Percentiles of few resampled values do not reach far enough: of 5 normal values they cover
83 %, of 30 differences of which nine in ten are 0 they cover 74 %. So the bounds are the wider of
BCa and Student's t on either side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from ragdiag.records import Estimate
from ragdiag.stats.intervals import (
    Z95,
    Sums,
    bounded_mean_estimate,
    mean_estimate,
    student_quantile,
)

RESAMPLES = 9_999
BLOCK = 2_000_000
"""Draws held at once, so that a long sample needs no more memory than a short one."""


def bca_mean(values: Sequence[float], seed: int = 0) -> Estimate:
    """A mean with its bias-corrected, accelerated bootstrap interval (Efron 1987), or Student's t
    on the side where that reaches farther.

    NaNs are left out and counted in the reason. Equal values have no interval, nor has one value.
    The same values and seed give the same interval.

    >>> bca_mean([0.5, 0.5, 0.5]).reason
    'equal values have no interval'
    >>> bca_mean([1.0, float("nan")]).reason
    'one value has no interval; 1 undefined left out'
    """
    kept = [float(value) for value in values if not math.isnan(value)]
    found = mean_estimate(Sums.of(kept))
    if len(kept) > 1 and min(kept) == max(kept):
        reason = "equal values have no interval"
        found = Estimate(found.value, math.nan, math.nan, len(kept), reason)
    return _with_bca(found, kept, len(values) - len(kept), seed)


def bounded_mean(values: Sequence[float], low: float, high: float, seed: int = 0) -> Estimate:
    """As :func:`bca_mean`, of values that lie within ``low`` … ``high``: with the interval of
    :func:`bounded_mean_estimate` instead of Student's, which knows that what was not seen may lie
    at either end. So equal values have an interval, too.

    >>> found = bounded_mean([1.0] * 20, 0, 1)
    >>> found.value, round(found.low, 2), found.high
    (1.0, 0.8, 1.0)
    """
    kept = [float(value) for value in values if not math.isnan(value)]
    found = bounded_mean_estimate(Sums.of(kept), low, high)
    return _with_bca(found, kept, len(values) - len(kept), seed)


def _with_bca(found: Estimate, kept: Sequence[float], dropped: int, seed: int) -> Estimate:
    """Widened to BCa's bounds where ``kept`` have any, and with what was left out."""
    notes = [
        found.reason if kept else "no values",
        f"{dropped} undefined left out" if dropped else None,
    ]
    reason = "; ".join(note for note in notes if note) or None
    low, high = found.low, found.high
    if len(kept) > 1 and min(kept) < max(kept):
        lower, upper = bca_interval(kept, seed)
        low, high = min(low, lower), max(high, upper)
    return Estimate(found.value, low, high, found.n, reason)


def bca_interval(values: Sequence[float], seed: int) -> tuple[float, float]:
    """95 % bounds of the mean of at least two values that are not all equal.

    z₀ is the normal quantile of the share of bootstrap means below the mean (ties count half),
    a = Σd³ / (6 (Σd²)^1.5) with d = x − mean, which is the jackknife's acceleration of a mean;
    the bounds are the bootstrap quantiles at Φ(z₀ + (z₀ ± z) / (1 − a (z₀ ± z))). Here z is not
    1.96 but expanded to √(n / (n − 1)) times Student's quantile (Hesterberg 2015, The American
    Statistician 69:371, §5.3): resampling n values spreads too little by as much.

    >>> bca_interval([0.0, 0.0, 0.0, 1.0], seed=0)
    (0.0, 1.0)
    """
    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    means = bootstrap_means(sample, seed, RESAMPLES)
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
    z = expansion(len(sample)) * normal.inv_cdf(0.975)
    levels = [_level(normal, bias, bias + shift, acceleration) for shift in (-z, z)]
    low, high = np.quantile(means, levels)
    return float(low), float(high)


def expansion(n: int) -> float:
    """By how much percentile intervals from n values are narrower than Student's: √(n / (n − 1)) of
    the spread, times t₉₇.₅ / z₉₇.₅ since the spread itself is estimated.

    >>> round(expansion(5), 2), round(expansion(100), 2)
    (1.58, 1.02)
    """
    return math.sqrt(n / (n - 1)) * student_quantile(n - 1) / Z95


def _level(normal: NormalDist, bias: float, shifted: float, acceleration: float) -> float:
    """Φ(z₀ + shifted / (1 − a shifted)): the end itself from the shift on where it has its pole."""
    room = 1 - acceleration * shifted
    if room <= 0:
        return 1.0 if shifted > 0 else 0.0
    return normal.cdf(bias + shifted / room)


def bootstrap_means(
    sample: npt.NDArray[np.float64], seed: int, resamples: int
) -> npt.NDArray[np.float64]:
    """Means of ``resamples`` draws of len(sample) values with replacement, shape (resamples,)."""
    generator = np.random.default_rng(seed)
    rows = max(1, BLOCK // len(sample))
    blocks = []
    for start in range(0, resamples, rows):
        shape = (min(rows, resamples - start), len(sample))
        blocks.append(sample[generator.integers(0, len(sample), size=shape)].mean(axis=1))
    return np.concatenate(blocks) if blocks else np.full(0, math.nan)
