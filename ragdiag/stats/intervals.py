"""95 % intervals: of a rate, of a mean, and of the difference of two independent ones.

Every function returns an Estimate and never raises for lack of data: undefined is NaN with a
reason. The Student quantile comes from scipy.special, imported on use.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self

from ragdiag.records import Estimate

Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal."""


ADDED = 2
"""Values at either end of their range that Agresti & Coull add."""
FEW = (0.051293, 0.355362, 0.817691)
"""λ with P(X ≥ k; λ) = 5 % of a Poisson X, for k = 1, 2, 3."""


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


class Bounded(Averaged, Protocol):
    """A mean that can tell what it were with two values more at either end of their range."""

    def with_ends(self, low: float, high: float) -> Averaged: ...


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

    def with_ends(self, low: float, high: float) -> Sums:
        """With ADDED values more at either end."""
        total, squares = ADDED * (low + high), ADDED * (low * low + high * high)
        return Sums(self.n + 2 * ADDED, self.total + total, self.total_squares + squares)


def wilson(successes: int, n: int) -> Estimate:
    """A rate with its Wilson score interval (Wilson 1927), which stays inside 0 … 1.

    Next to 0 and 1 it covers 84 % at the worst. There it is modified as Brown, Cai & DasGupta say
    (2001, Statistical Science 16:112, §4.1.2): up to 2 successes (3 where n is above 50)
    the lower bound is Poisson's, λ/n with P(X ≥ successes; λ) = 5 %, where that is lower; failures
    likewise. So it covers at least 91 %, whatever the rate and n.

    >>> estimate = wilson(8, 10)
    >>> estimate.value, round(estimate.low, 4), round(estimate.high, 4)
    (0.8, 0.4902, 0.9645)
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
    """The bounds that :func:`wilson` gives a rate that was seen in n > 0 trials, which need not be
    whole; for what is rare, successes and failures are rounded."""
    scale = 1 + Z95**2 / n
    centre = (rate + Z95**2 / (2 * n)) / scale
    half = Z95 * math.sqrt(rate * (1 - rate) / n + (Z95 / (2 * n)) ** 2) / scale
    # At the ends the bound is exactly the rate; rounding would leave 1e-17 outside it.
    low, high = (0.0 if rate == 0 else centre - half), (1.0 if rate == 1 else centre + half)
    successes, failures = round(rate * n), round((1 - rate) * n)
    return min(low, _rare(successes, n)), max(high, 1 - _rare(failures, n))


def _rare(count: int, n: float) -> float:
    """The lower bound of a rate of which ``count`` were seen; 1 where they are not few."""
    few = 2 if n <= 50 else 3
    return FEW[count - 1] / n if 1 <= count <= few else 1.0


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
    """Rate b − rate a of independent samples, Newcombe's hybrid score interval (1998, method 10)
    of the intervals that :func:`wilson` gives.

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


def bounded_mean_estimate(found: Bounded, low: float, high: float) -> Estimate:
    """As :func:`mean_estimate`, of values that lie within ``low`` … ``high``.

    The bounds are Student's with ADDED values more at either end (Agresti & Coull 1998, American
    Statistician 52:119, who say so of rates), kept in the range. Plain t of 20 values, each 1 with
    chance 97 % and else 0, covers 42 %: most samples have no spread. The value is the plain mean.

    >>> found = bounded_mean_estimate(Sums.of([1.0] * 20), 0, 1)
    >>> found.value, round(found.low, 2), found.high
    (1.0, 0.8, 1.0)
    """
    plain = mean_estimate(found)
    if found.n < 2:
        return plain
    wide = mean_estimate(found.with_ends(low, high))
    lower, upper = min(wide.low, plain.value), max(wide.high, plain.value)
    return Estimate(plain.value, max(lower, float(low)), min(upper, float(high)), found.n)


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
    # By shares, since squares of errors next to 0 are 0.
    of_a, of_b = a.error / error, b.error / error
    freedom = 1 / (of_a**2 / a.freedom + of_b**2 / b.freedom)
    half = student_quantile(freedom) * math.sqrt(error)
    return Estimate(value, value - half, value + half, n)


def student_quantile(freedom: float, level: float = 0.975) -> float:
    """A quantile of Student's t, by default the 97.5 %.

    >>> round(student_quantile(9), 4), round(student_quantile(9, 0.95), 4)
    (2.2622, 1.8331)
    """
    from scipy.special import stdtrit

    return float(stdtrit(freedom, level))
