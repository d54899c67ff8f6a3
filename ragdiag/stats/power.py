"""How many questions a comparison needs, planned from a spread that was seen (METHODS.md §10, §11).

By the normal approximation: Student's quantiles differ by less than a question in twenty from 30
questions on, which is the least that a gate passes with.
"""

from __future__ import annotations

import math

from ragdiag.stats.criteria import LEAST_CLUSTERS, needed_to_pass
from ragdiag.stats.gates import TOLERATED

TWO_SIDED_5 = 0.975
ONE_SIDED_5 = 0.95


def questions_needed(deviation: float, effect: float, power: float = 0.8) -> int:
    """Questions that show a true difference ``effect`` with this ``power`` at two-sided 5 %:
    ((z₉₇.₅ + z_power) s / Δ)², where s is the standard deviation of the paired differences.

    Raises ValueError unless 0 < power < 1 and both the effect and the deviation are positive: a
    sample whose values are all alike has shown no spread, and does not say that there is none.

    >>> questions_needed(0.25, 0.01), questions_needed(0.25, 0.02)
    (4906, 1227)
    """
    return _needed(deviation, effect, power, TWO_SIDED_5)


def questions_to_pass(deviation: float, margin: float, power: float = 0.8) -> int:
    """Questions until the gate passes an equally good version with this ``power``: its one-sided
    95 % bound of mean(B − 0.98 A), with one question more that B gets nothing for, must be above 0,
    and ``margin`` is that mean if truly equal: 0.02 of A's. ``deviation`` is that of B − 0.98 A.
    Never below what any pass takes.

    >>> questions_to_pass(0.25, 0.015), questions_to_pass(0.001, 0.015)
    (1821, 132)
    """
    from scipy.special import ndtri

    least = _needed(deviation, margin, power, ONE_SIDED_5)
    loss = margin * TOLERATED / (1 - TOLERATED)
    strict = needed_to_pass(margin, deviation, loss, z_power=float(ndtri(power)))
    return max(least, strict or 0, LEAST_CLUSTERS)


def power_at(n: int, deviation: float, effect: float) -> float:
    """The chance that n questions show a true difference ``effect`` at two-sided 5 %.

    >>> round(power_at(4906, 0.25, 0.01), 3)
    0.8
    """
    from scipy.special import ndtr, ndtri

    return float(ndtr(effect * math.sqrt(n) / deviation - ndtri(TWO_SIDED_5)))


def _needed(deviation: float, effect: float, power: float, level: float) -> int:
    from scipy.special import ndtri

    if not (0 < power < 1 and effect > 0 and deviation > 0):
        raise ValueError(
            f"power {power} is not in (0, 1), or effect {effect} or deviation {deviation} is not "
            "positive"
        )
    reach = float(ndtri(level) + ndtri(power))
    return max(math.ceil((max(reach, 0.0) * deviation / effect) ** 2 - 1e-9), 2)
