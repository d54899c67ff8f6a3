"""How alike one user's outcomes are: an upper bound of their intraclass correlation ρ.

In Pólya's urn (the beta-binomial model) users differ in their chance of failing, whose mean is p
and whose variance ρ p (1 − p): two outcomes of one user correlate by ρ, those of two users not at
all. After s failures in m outcomes a user fails next with chance ((1 − ρ) p + ρ s) / (1 − ρ + ρ m),
so that all outcomes together have, with the numbers A_j, B_j and C_j of users who have more than j
failures, fine outcomes, and outcomes,

    log L(p, ρ) = Σ_j A_j log((1−ρ) p + ρ j) + B_j log((1−ρ)(1−p) + ρ j) − C_j log(1 − ρ + ρ j)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ragdiag.stats.intervals import Z95

HIGHEST_CORRELATION = 0.99
"""With 1 a user who failed could only fail again; what cannot be has no likelihood ratio."""
GRID = np.append(0.0, np.geomspace(1e-4, HIGHEST_CORRELATION, 120))
HALVINGS = 40

Floats = npt.NDArray[np.float64]


def next_failure(p: float, rho: float, failures: int, n: int) -> float:
    """The chance that the urn gives a user's next failure after so many in ``n`` outcomes.

    >>> next_failure(0.1, 0.0, 3, 4), round(next_failure(0.1, 0.5, 3, 4), 2)
    (0.1, 0.62)
    """
    return ((1 - rho) * p + rho * failures) / (1 - rho + rho * n)


def correlation_bound(outcomes: Sequence[bool | int], owners: Sequence[Hashable]) -> float:
    """The one-sided upper 97.5 % bound of ρ, from outcomes (1: failed) and whose they are: of
    GRID's values the next after the last one whose log likelihood, at the p best for it, is less
    than z²/2 below the largest (profile likelihood; Venzon & Moolgavkar 1988).

    HIGHEST_CORRELATION where nothing can be learnt: no user has two outcomes, or all outcomes are
    the same. A user who returns later may then fail as before, for all one knows.

    >>> correlation_bound([1, 0, 0, 0] * 100, range(400))
    0.99
    >>> correlation_bound([1, 0, 0, 0] * 100, [n // 4 for n in range(400)]) < 0.02
    True
    """
    sizes, failed = Counter(owners), Counter[Hashable]()
    for outcome, owner in zip(outcomes, owners, strict=True):
        failed[owner] += bool(outcome)
    total = failed.total()
    if total in (0, len(outcomes)) or max(sizes.values(), default=1) == 1:
        return HIGHEST_CORRELATION
    bad = _exceeding(failed.values())
    fine = _exceeding(size - failed[owner] for owner, size in sizes.items())
    likelihood = _profile(bad, fine, _exceeding(sizes.values()))
    within = np.flatnonzero(likelihood >= likelihood.max() - Z95**2 / 2)
    return float(GRID[min(within[-1] + 1, len(GRID) - 1)])


def _exceeding(counts: Iterable[int]) -> Floats:
    """At j how many of the counts are above j."""
    having = np.bincount(np.fromiter(counts, dtype=np.intp))
    return np.cumsum(having[::-1])[::-1][1:].astype(np.float64)


def _profile(bad: Floats, fine: Floats, both: Floats) -> Floats:
    """log L at each ρ of GRID, with the p that is best for it. L is concave in p, so its slope
    tells on which side that is."""
    rho = GRID[:, np.newaxis]
    of_bad, of_fine, of_both = (rho * np.arange(len(one)) for one in (bad, fine, both))
    low, high = np.zeros_like(rho), np.ones_like(rho)
    for _ in range(HALVINGS):
        p = (low + high) / 2
        slope = np.sum(bad / ((1 - rho) * p + of_bad), axis=1, keepdims=True)
        slope -= np.sum(fine / ((1 - rho) * (1 - p) + of_fine), axis=1, keepdims=True)
        low, high = np.where(slope > 0, p, low), np.where(slope > 0, high, p)
    p = (low + high) / 2
    found: Floats = np.sum(bad * np.log((1 - rho) * p + of_bad), axis=1)
    found += np.sum(fine * np.log((1 - rho) * (1 - p) + of_fine), axis=1)
    found -= np.sum(both * np.log(1 - rho + of_both), axis=1)
    return found
