"""Rates and means over all requests, from logged ones that were drawn with a known chance.

A request weighs w = 1 / its chance. The mean of x over all of them is R = Σwx / Σw (Hájek 1971).
Each is drawn by itself, so the variance of R is Σw²(x − R)² / (Σw)² (linearised; Särndal, Swensson
& Wretman 1992, Model Assisted Survey Sampling, §5.7). Where everything was logged, all of this is
intervals.py's, to the last digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ragdiag.records import Estimate, Weighed
from ragdiag.stats.intervals import ADDED, Sums, newcombe, score_interval, wilson

APART = 3.0
"""In standard errors. No heavy request among the successes is that far from chance where nine were
expected."""


def weighted_rate(successes: Weighed, n: Weighed) -> Estimate:
    """A rate with its Wilson interval for the effective n; the estimate's n is what was logged.

    >>> weighted_rate(Weighed.of(8), Weighed.of(10)) == wilson(8, 10)
    True
    >>> errors, others = Weighed.of(5), Weighed(10, 100.0, 1000.0)  # kept for certain; 1 of 10
    >>> found = weighted_rate(errors, errors + others)
    >>> round(found.value, 4), found.n
    (0.0476, 15)
    """
    if n.is_plain:
        return wilson(int(successes.plain), int(n.plain))
    rate = min(successes.weighted / n.weighted, 1.0)  # above it is rounding
    low, high = score_interval(rate, effective_n(successes, n))
    return Estimate(rate, low, high, int(n.plain))


def effective_n(successes: Weighed, n: Weighed) -> float:
    """How many requests drawn alike would tell the rate as well: R(1 − R) / variance (Korn &
    Graubard 1998). Where only successes or only failures are known, (Σw)² / Σw² (Kish 1965).

    Nor is it above Kish's where successes weigh as requests picked blindly do, as in a week that
    was logged at two rates: the variance is next to 0 where the few heavy requests happen to be
    failures all. Where errors are always kept, successes weigh otherwise, and Kish's is too small.

    >>> light, heavy = Weighed.of(100), Weighed(20, 2e3, 2e5)
    >>> round(effective_n(light, Weighed.of(2000) + heavy))  # logged at 1, then at 1 in 100
    79
    >>> round(effective_n(light, light + heavy))  # successes are always kept
    368
    """
    rate, kish = successes.weighted / n.weighted, n.weighted**2 / n.squared
    spread = successes.squared * (1 - 2 * rate) + rate * rate * n.squared
    if not 0 < rate < 1 or spread <= 0:
        return kish
    told = rate * (1 - rate) * n.weighted**2 / spread
    return min(told, kish) if _is_drawn_blindly(successes, n) else told


def _is_drawn_blindly(successes: Weighed, n: Weighed) -> bool:
    """Whether the mean weight of the successes is within APART standard errors of that of as many
    requests drawn from all without replacement (Cochran 1977, §2.6)."""
    mean, drawn = n.weighted / n.plain, successes.plain / n.plain
    spread = n.squared / n.plain - mean * mean
    apart = successes.weighted / successes.plain - mean
    return apart * apart * successes.plain <= APART**2 * spread * (1 - drawn)


def difference_of_weighted_rates(
    successes_a: Weighed, n_a: Weighed, successes_b: Weighed, n_b: Weighed
) -> Estimate:
    """Rate b − rate a of independent samples, by Newcombe's method on their own intervals."""
    return newcombe(weighted_rate(successes_a, n_a), weighted_rate(successes_b, n_b))


@dataclass(frozen=True, slots=True)
class WeightedSums:
    """What a weighted mean and its interval need: the requests, Σx and Σx²."""

    requests: Weighed
    total: Weighed
    total_squares: Weighed

    def __add__(self, other: WeightedSums) -> WeightedSums:
        return WeightedSums(
            self.requests + other.requests,
            self.total + other.total,
            self.total_squares + other.total_squares,
        )

    def with_ends(self, low: float, high: float) -> WeightedSums:
        """With ADDED values more at either end, each of the weight Σw² / Σw: as much as one of the
        n that Kish's effective n counts."""
        weight = self.requests.squared / self.requests.weighted
        one = Weighed(1, weight, weight * weight)
        return self + WeightedSums(
            _times(one, 2 * ADDED),
            _times(one, ADDED * (low + high)),
            _times(one, ADDED * (low * low + high * high)),
        )

    @property
    def n(self) -> int:
        return int(self.requests.plain)

    @property
    def mean(self) -> float:
        return self.total.weighted / self.requests.weighted if self.n else math.nan

    @property
    def error(self) -> float:
        """The squared standard error of the mean, n / (n − 1) times the variance above; exactly 0
        where only rounding is left. NaN below two requests."""
        if self.requests.is_plain:
            return Sums(self.n, self.total.plain, self.total_squares.plain).error
        if self.n < 2:
            return math.nan
        mean, squares = self.mean, self.total_squares.squared
        spread = squares - 2 * mean * self.total.squared + mean * mean * self.requests.squared
        if spread <= 1e-13 * abs(squares):
            return 0.0
        return spread / self.requests.weighted**2 * self.n / (self.n - 1)

    @property
    def freedom(self) -> float:
        """Degrees of freedom: one less than Kish's effective n, and one at least."""
        if self.requests.is_plain:
            return self.n - 1
        return max(self.requests.weighted**2 / self.requests.squared - 1, 1.0)


def _times(sums: Weighed, factor: float) -> Weighed:
    return Weighed(sums.plain * factor, sums.weighted * factor, sums.squared * factor)
