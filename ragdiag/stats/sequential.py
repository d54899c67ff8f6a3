"""Watching outcomes for a rate that has risen, however often one looks (METHODS.md §13).

The Shiryaev–Roberts e-detector (Shin, Ramdas & Rinaldo 2022) of a Bernoulli rate above p₀::

    R_t = (1 + R_{t−1}) · L_q(x_t),   L_q(x) = (q/p₀)^x ((1 − q)/(1 − p₀))^(1 − x)

for each q in {1.25, 1.5, 2, 3} · p₀ below 1, averaged. It alarms when the average reaches a level
A. While each outcome fails with chance p₀ at the most, given those before it, L_q has mean 1 at
the most, so R_t − t does not rise in the mean, and therefore

- the mean time until a false alarm is at least A outcomes,
- a false alarm comes within the first n with chance n/A at the most (Doob),

whether one looks after every outcome or seldom. p₀ is an upper bound of the reference rate.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from ragdiag.stats.contrasts import clustered_mean
from ragdiag.stats.intervals import Z95, wilson

MULTIPLES = (1.25, 1.5, 2.0, 3.0)
HIGHEST_REFERENCE = 1 / MULTIPLES[0]
"""A reference rate from here on has no rate left that is higher by a quarter."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What watching ``n`` outcomes came to. ``n`` ends at the alarm if there was one.

    ``peak`` is the highest average of R, to be compared with ``level``. ``change`` is the number
    (from 0) of the outcome with which the rate most probably rose: the start that makes the
    likelihood ratio of all that followed largest; None without an alarm.
    """

    n: int
    failures: int
    p0: float
    level: float
    peak: float
    alarm: bool
    change: int | None


def watch_rate(outcomes: Iterable[bool | int], p0: float, level: float) -> Watched:
    """Read outcomes (1: failed) in the order in which they came, up to the first alarm.

    Raises ValueError unless 0 < p0 < 0.8 and level ≥ 1.

    >>> found = watch_rate([0, 0, 0, 1, 1, 1, 1, 1], p0=0.1, level=50)
    >>> found.alarm, found.n, round(found.peak, 1), found.change
    (True, 7, 94.5, 3)
    """
    if not 0 < p0 < HIGHEST_REFERENCE or not level >= 1:
        raise ValueError(f"p0 = {p0} must lie in (0, 0.8) and level = {level} be at least 1")
    rates = [multiple * p0 for multiple in MULTIPLES if multiple * p0 < 1]
    streams = [_Stream(math.log(q / p0), math.log((1 - q) / (1 - p0))) for q in rates]
    n = failures = 0
    peak = 0.0
    for outcome in outcomes:
        for stream in streams:
            stream.read(n, bool(outcome))
        n += 1
        failures += bool(outcome)
        peak = max(peak, sum(stream.sum_of_ratios for stream in streams) / len(streams))
        if peak >= level:
            break
    alarm = peak >= level
    likeliest = max(streams, key=lambda stream: stream.largest)
    return Watched(n, failures, p0, level, peak, alarm, likeliest.start if alarm else None)


def reference_bound(
    outcomes: Sequence[bool | int], owners: Sequence[Hashable], share: float = 1.0
) -> float:
    """p₀ for a ``share`` of the users, from reference outcomes and whose they are.

    Wilson's upper 97.5 % bound, widened by how much users differ beyond chance: the cluster-robust
    variance of the mean less that of independent outcomes. A few users may fail more often than
    all of them with the same version, and a smaller share means fewer users: their mean spreads by
    1/share of that. NaN without outcomes.

    >>> round(reference_bound([1, 0, 0, 0] * 100, range(400)), 3)
    0.295
    """
    n, failures = len(outcomes), sum(map(bool, outcomes))
    if n == 0:
        return math.nan
    estimate = wilson(failures, n)
    rate = estimate.value
    error = clustered_mean([float(outcome) for outcome in outcomes], owners).error
    beyond_chance = max(0.0, error**2 - rate * (1 - rate) / (n - 1)) if error == error else 0.0
    spread = Z95 * math.sqrt(beyond_chance * (1 + 1 / share))
    return rate + math.hypot(estimate.high - rate, spread)


def level_for(n: int, chance: float) -> float:
    """The level at which a false alarm comes within n outcomes with that chance at the most.

    >>> level_for(2_000, 0.05)
    40000.0
    """
    return max(1.0, n / chance)


class _Stream:
    """For one rate q: Σ over starts k of the likelihood ratio of the outcomes since k, and the
    start for which its logarithm is largest."""

    def __init__(self, failed: float, fine: float) -> None:
        self.failed, self.fine = failed, fine
        self.sum_of_ratios = 0.0
        self.largest = -math.inf
        self.start = 0

    def read(self, number: int, outcome: bool) -> None:
        step = self.failed if outcome else self.fine
        self.sum_of_ratios = (1 + self.sum_of_ratios) * math.exp(step)
        if self.largest <= 0:
            self.largest, self.start = 0.0, number
        self.largest += step
