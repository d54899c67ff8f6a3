"""Watching outcomes for a rate that has risen, however often one looks (METHODS.md §13).

The Shiryaev–Roberts e-detector (Shin, Ramdas & Rinaldo 2022) of a Bernoulli rate above p₀::

    R_t = (1 + R_{t−1}) · L_q(x_t),   L_q(x) = (q/p₀)^x ((1 − q)/(1 − p₀))^(1 − x)

for each q in {1.25, 1.5, 2, 3} · p₀ below 1, averaged. It alarms when the average reaches a level
A. While each outcome fails with chance p₀ at the most, given those before it, L_q has mean 1 at
the most, so R_t − t does not rise in the mean, and therefore

- the mean time until a false alarm is at least A outcomes,
- a false alarm comes within the first n with chance n/A at the most (Doob),

whether one looks after every outcome or seldom. p₀ is an upper bound of the reference rate.

Users come in sessions, and one who has failed fails the likelier next. So each outcome is bet on at
what its user's own earlier ones let expect. After s failures in m of them, with a bound ρ on the
correlation of one user's outcomes (intraclass.py), in place of p₀ stands

    π = max(p₀, u(p₀)),   u(p) = ((1 − ρ) p + ρ s) / (1 − ρ + ρ m)

For users who differ by a beta distribution this is at least the chance of the next failure for
every rate up to p₀ and every correlation up to ρ, since u rises with p, and with ρ where s/m is
above p; where it is below, u is below p. So against any q' ≥ π the mean of L is 1 at the most, in
whatever order users come. Each q bets twice: ``bold`` on max(q, u(q)), so that whom nothing failed
counts fully when the rate rises later; ``wary`` on max(π, u(q)), so that many fine outcomes of one
user count as little against a rise as many failures count for it. With ρ = 0 both are the detector
above; with ρ next to 1 a user's first outcome counts, and hardly one that follows a failure.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from ragdiag.stats.contrasts import clustered_mean
from ragdiag.stats.intervals import Z95, wilson
from ragdiag.stats.intraclass import HIGHEST_CORRELATION, next_failure

MULTIPLES = (1.25, 1.5, 2.0, 3.0)
HIGHEST_REFERENCE = 1 / MULTIPLES[0]
"""A reference rate from here on has no rate left that is higher by a quarter."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What watching ``n`` outcomes came to. ``n`` ends at the alarm if there was one.

    ``peak`` is the highest average of R, to be compared with ``level``. ``change`` is the number
    (from 0) of the outcome with which the rate most probably rose: the start that makes the
    likelihood ratio of all that followed largest; None without an alarm. ``rho`` is the correlation
    of one user's outcomes that was allowed for.
    """

    n: int
    failures: int
    p0: float
    level: float
    peak: float
    alarm: bool
    change: int | None
    rho: float = 0.0


def watch_rate(
    outcomes: Iterable[bool | int],
    p0: float,
    level: float,
    owners: Iterable[Hashable] | None = None,
    rho: float = 0.0,
) -> Watched:
    """Read outcomes (1: failed) in the order in which they came, up to the first alarm.

    ``owners`` tell whose they are, one for each; without them each stands alone, and ``rho`` has no
    effect. Raises ValueError unless 0 < p0 < 0.8, level ≥ 1 and 0 ≤ rho ≤ 0.99.

    >>> found = watch_rate([0, 0, 0, 1, 1, 1, 1, 1], p0=0.1, level=50)
    >>> found.alarm, found.n, round(found.peak, 1), found.change
    (True, 7, 94.5, 3)
    >>> watch_rate([0, 0, 0, 1, 1, 1, 1, 1], 0.1, 50, owners="uvwxxxxx", rho=0.5).alarm
    False
    """
    if not 0 < p0 < HIGHEST_REFERENCE or not level >= 1:
        raise ValueError(f"p0 = {p0} must lie in (0, 0.8) and level = {level} be at least 1")
    if not 0 <= rho <= HIGHEST_CORRELATION:
        raise ValueError(f"rho = {rho} must lie within 0 … {HIGHEST_CORRELATION}")
    rates = [multiple * p0 for multiple in MULTIPLES if multiple * p0 < 1]
    bets = (_bold, _wary) if rho else (_bold,)
    streams = [_Stream(p0, q, rho, bet) for q in rates for bet in bets]
    pasts: dict[Hashable, tuple[int, int]] = {}
    n = failures = 0
    peak = 0.0
    for owner, outcome in zip(
        itertools.count() if owners is None else owners, outcomes, strict=False
    ):
        past = pasts.get(owner, (0, 0))
        for stream in streams:
            stream.read(n, bool(outcome), past)
        pasts[owner] = past[0] + bool(outcome), past[1] + 1
        n += 1
        failures += bool(outcome)
        peak = max(peak, sum(stream.sum_of_ratios for stream in streams) / len(streams))
        if peak >= level:
            break
    alarm = peak >= level
    likeliest = max(streams, key=lambda stream: stream.largest)
    return Watched(n, failures, p0, level, peak, alarm, likeliest.start if alarm else None, rho)


def reference_bound(outcomes: Sequence[bool | int], owners: Sequence[Hashable]) -> float:
    """p₀, from reference outcomes and whose they are.

    Wilson's upper 97.5 % bound, widened by how much users differ beyond chance: the cluster-robust
    variance of the mean less that of independent outcomes. It bounds the mean over all users; that
    a few of them may fail more often is what ρ allows for. NaN without outcomes.

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
    return rate + math.hypot(estimate.high - rate, Z95 * math.sqrt(beyond_chance))


def level_for(n: int, chance: float) -> float:
    """The level at which a false alarm comes within n outcomes with that chance at the most.

    >>> level_for(2_000, 0.05)
    40000.0
    """
    return max(1.0, n / chance)


Bet = Callable[[float, float, float, int, int], float]


def _bold(pi: float, q: float, rho: float, failures: int, n: int) -> float:
    return max(pi, q, next_failure(q, rho, failures, n))


def _wary(pi: float, q: float, rho: float, failures: int, n: int) -> float:
    return max(pi, next_failure(q, rho, failures, n))


class _Stream:
    """For one bet on a rate q: Σ over starts k of the likelihood ratio of the outcomes since k, and
    the start for which its logarithm is largest."""

    def __init__(self, p0: float, q: float, rho: float, bet: Bet) -> None:
        self.p0, self.q, self.rho, self.bet = p0, q, rho, bet
        self.ratios: dict[tuple[int, int], tuple[float, float]] = {}
        self.sum_of_ratios = 0.0
        self.largest = -math.inf
        self.start = 0

    def read(self, number: int, outcome: bool, past: tuple[int, int]) -> None:
        if past not in self.ratios:
            self.ratios[past] = self._ratios_after(*past)
        ratio = self.ratios[past][outcome]
        self.sum_of_ratios = (1 + self.sum_of_ratios) * ratio
        if self.largest <= 0:
            self.largest, self.start = 0.0, number
        self.largest += math.log(ratio)

    def _ratios_after(self, failures: int, n: int) -> tuple[float, float]:
        """L of a fine outcome and of a failure, after so many failures in ``n`` of the user."""
        pi = max(self.p0, next_failure(self.p0, self.rho, failures, n))
        q = self.bet(pi, self.q, self.rho, failures, n)
        return (1 - q) / (1 - pi), q / pi
