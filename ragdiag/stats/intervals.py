"""95 % intervals: of a rate, of a mean, and of the difference of two independent ones.

Every function returns an Estimate and never raises for lack of data: undefined is NaN with a
reason. The Student quantile comes from scipy.special, imported on use.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from ragdiag.records import Estimate
from ragdiag.stats.bootstrap import bca_interval

Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal."""


class Averaged(Protocol):
    """A mean over n values: its squared standard ``error``, with its degrees of ``freedom``."""

    @property
    def n(self) -> int: ...

    @property
    def mean(self) -> float: ...

    @property
    def error(self) -> float: ...

    @property
    def freedom(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Sums:
    """What a mean and its interval need: n, Σx and Σx², as a database adds them up.

    >>> Sums.of([1.0, 3.0])
    Sums(n=2, total=4.0, total_squares=10.0)
    """

    n: int
    total: float
    total_squares: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        kept = [float(value) for value in values]
        return cls(len(kept), math.fsum(kept), math.fsum(value * value for value in kept))

    @property
    def mean(self) -> float:
        return self.total / self.n if self.n else math.nan

    @property
    def variance(self) -> float:
        """Unbiased; exactly 0 where only rounding is left. NaN below two values."""
        if self.n < 2:
            return math.nan
        spread = self.total_squares - self.total * self.total / self.n
        rounding = 1e-13 * abs(self.total_squares)
        return spread / (self.n - 1) if spread > rounding else 0.0

    @property
    def error(self) -> float:
        """The squared standard error of the mean. NaN below two values."""
        return self.variance / self.n if self.n else math.nan

    @property
    def freedom(self) -> float:
        return self.n - 1


def wilson(successes: int, n: int) -> Estimate:
    """A rate with its Wilson score interval (Wilson 1927), which stays inside 0 … 1.

    >>> estimate = wilson(8, 10)
    >>> estimate.value, round(estimate.low, 4), round(estimate.high, 4)
    (0.8, 0.4902, 0.9433)
    >>> wilson(0, 0).reason
    'no rows'
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    if n == 0:
        return Estimate.undefined("no rows")
    rate = successes / n
    return Estimate(rate, *score_interval(rate, n), n)


def score_interval(rate: float, n: float) -> tuple[float, float]:
    """Wilson's bounds of a rate that was seen in n > 0 trials, which need not be whole."""
    scale = 1 + Z95**2 / n
    centre = (rate + Z95**2 / (2 * n)) / scale
    half = Z95 * math.sqrt(rate * (1 - rate) / n + (Z95 / (2 * n)) ** 2) / scale
    # At the ends the bound is exactly the rate; rounding would leave 1e-17 outside it.
    return (0.0 if rate == 0 else centre - half), (1.0 if rate == 1 else centre + half)


def rate_bounds_with_unknown(successes: float, known: float, unknown: float) -> tuple[float, float]:
    """The rate if every unknown outcome were a failure, and if every one were a success; of counts,
    or of sums of weights.

    >>> rate_bounds_with_unknown(6, known=8, unknown=2)
    (0.6, 0.8)
    """
    if not (0 <= successes <= known and unknown >= 0):
        raise ValueError(f"{successes} successes of {known} known and {unknown} unknown")
    n = known + unknown
    return (successes / n, (successes + unknown) / n) if n else (math.nan, math.nan)


def difference_of_rates(successes_a: int, n_a: int, successes_b: int, n_b: int) -> Estimate:
    """Rate b − rate a of independent samples, Newcombe's hybrid score interval (1998, method 10).

    The n of the estimate is both samples together.

    >>> estimate = difference_of_rates(48, 80, 56, 70)
    >>> round(estimate.value, 2), round(estimate.low, 4), round(estimate.high, 4)
    (0.2, 0.0524, 0.3339)
    """
    return newcombe(wilson(successes_a, n_a), wilson(successes_b, n_b))


def newcombe(a: Estimate, b: Estimate) -> Estimate:
    """The same from the two rates with their score intervals."""
    n = a.n + b.n
    if not a.n or not b.n:
        return Estimate.undefined("one of the two samples is empty", n=n)
    value = b.value - a.value
    low = value - math.hypot(b.value - b.low, a.high - a.value)
    high = value + math.hypot(b.high - b.value, a.value - a.low)
    return Estimate(value, low, high, n)


def mean_estimate_from_sums(n: int, total: float, total_squares: float) -> Estimate:
    """A mean from n, Σx and Σx², with its Student t interval on n − 1 degrees of freedom.

    For bands over many rows that are summed in the database; where the rows themselves are at
    hand, ``bca_mean`` follows a skewed sample better. One value has no interval.

    >>> estimate = mean_estimate_from_sums(4, 10.0, 30.0)  # 1, 2, 3, 4
    >>> estimate.value, round(estimate.low, 3), round(estimate.high, 3)
    (2.5, 0.446, 4.554)
    """
    return mean_estimate(Sums(n, total, total_squares))


def mean_estimate(found: Averaged) -> Estimate:
    """The same of any mean that knows its error."""
    if found.n == 0:
        return Estimate.undefined("no rows")
    if found.n == 1:
        return Estimate(found.mean, math.nan, math.nan, 1, "one value has no interval")
    half = student_quantile(found.freedom) * math.sqrt(found.error)
    return Estimate(found.mean, found.mean - half, found.mean + half, found.n)


def difference_of_means(a: Averaged, b: Averaged) -> Estimate:
    """Mean b − mean a of independent samples with unequal variances: Welch's t interval (1947).

    The n of the estimate is both samples together. Where neither has any spread, a difference has
    no interval.

    >>> estimate = difference_of_means(Sums.of([1.0, 2.0, 3.0]), Sums.of([4.0, 6.0, 8.0]))
    >>> estimate.value, round(estimate.low, 3), round(estimate.high, 3)
    (4.0, -0.155, 8.155)
    """
    n = a.n + b.n
    if not a.n or not b.n:
        return Estimate.undefined("one of the two samples is empty", n=n)
    value = b.mean - a.mean
    if a.n < 2 or b.n < 2:
        return Estimate(value, math.nan, math.nan, n, "one value has no interval")
    error = a.error + b.error
    if error == 0:
        if value:
            return Estimate(value, math.nan, math.nan, n, "neither sample has any spread")
        return Estimate(value, value, value, n)
    freedom = error**2 / (a.error**2 / a.freedom + b.error**2 / b.freedom)
    half = student_quantile(freedom) * math.sqrt(error)
    return Estimate(value, value - half, value + half, n)


def bca_mean(values: Sequence[float], seed: int = 0) -> Estimate:
    """A mean with its bias-corrected, accelerated bootstrap interval (Efron 1987).

    NaNs are left out and counted in the reason. Equal values give the degenerate interval; one
    value gives none. The same values and seed give the same interval.

    >>> bca_mean([0.5, 0.5, 0.5])
    Estimate(value=0.5, low=0.5, high=0.5, n=3, reason=None)
    >>> bca_mean([1.0, float("nan")]).reason
    'one value has no interval; 1 undefined left out'
    """
    kept = [float(value) for value in values if not math.isnan(value)]
    n, dropped = len(kept), len(values) - len(kept)
    notes = [f"{dropped} undefined left out"] if dropped else []
    if n == 0:
        return Estimate.undefined("; ".join(["no values", *notes]))
    mean = math.fsum(kept) / n
    if n == 1:
        reason = "; ".join(["one value has no interval", *notes])
        return Estimate(mean, math.nan, math.nan, 1, reason)
    low, high = (kept[0],) * 2 if min(kept) == max(kept) else bca_interval(kept, seed)
    return Estimate(mean, low, high, n, "; ".join(notes) or None)


def student_quantile(freedom: float, level: float = 0.975) -> float:
    """A quantile of Student's t, by default the 97.5 %.

    >>> round(student_quantile(9), 4), round(student_quantile(9, 0.95), 4)
    (2.2622, 1.8331)
    """
    from scipy.special import stdtrit

    return float(stdtrit(freedom, level))
