"""How many questions a comparison needs, planned from a spread that was seen (METHODS.md §10, §11).

Questions about one document rise and fall together, so what is counted are documents: n questions,
``size`` to a document, are G = n / size of them, and the tests are Student's t on G − 1 degrees of
freedom. If the true difference is Δ and the standard error s / √n, t is noncentral with
δ = Δ √n / s (Johnson & Welch 1940), and n is enough where δ is the noncentrality at which t is
beyond its bound with the power asked for. δ is z_level + z_power for many documents and more for
few: 2.80, 3.01 of 15 and 3.76 of five at two-sided 5 % and 80 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ragdiag.stats.criteria import needed_to_pass
from ragdiag.stats.gates import TOLERATED
from ragdiag.stats.intervals import student_quantile

TWO_SIDED_5 = 0.975
ONE_SIDED_5 = 0.95
LEAST_DOCUMENTS = 5
"""Below it the spread of documents is hardly known, and a plan that rests on it is none."""


def questions_needed(deviation: float, effect: float, power: float = 0.8, size: float = 1) -> int:
    """Questions that show a true difference ``effect`` with this ``power`` at two-sided 5 %, where
    there are ``size`` to a document and √n times the standard error is ``deviation``: alone, that
    is the standard deviation of the paired differences.

    Raises ValueError unless 0 < power < 1, size is at least 1, and both the effect and the
    deviation are positive: a sample whose values are all alike has shown no spread, and does not
    say that there is none.

    >>> questions_needed(0.25, 0.01), questions_needed(0.25, 0.02)
    (4908, 1229)
    >>> questions_needed(0.25, 0.05), questions_needed(0.25, 0.05, size=20)
    (199, 238)
    """
    _check(deviation, effect, power, size)
    return _least(lambda n: _shows(n, deviation, effect, power, TWO_SIDED_5, size), size)


def questions_to_pass(deviation: float, margin: float, power: float = 0.8, size: float = 1) -> int:
    """Questions until the gate passes an equally good version with this ``power``: its one-sided
    95 % bound of mean(B − 0.98 A), with one question more that B gets nothing for, must be above 0,
    and ``margin`` is that mean if truly equal: 0.02 of A's. ``deviation`` is that of B − 0.98 A.
    Never below LEAST_DOCUMENTS; that any pass takes LEAST_CLUSTERS is criteria.with_least_clusters.

    >>> questions_to_pass(0.25, 0.015), questions_to_pass(0.001, 0.015)
    (1823, 133)
    """
    _check(deviation, margin, power, size)
    loss = margin * TOLERATED / (1 - TOLERATED)

    def passes(n: int) -> bool:
        bound, reach = _reach(n / size - 1, power, ONE_SIDED_5)
        strict = needed_to_pass(margin, deviation, loss, z=bound, z_power=reach - bound)
        return (strict or 0) <= n and _shows(n, deviation, margin, power, ONE_SIDED_5, size)

    return _least(passes, size)


def power_at(n: int, deviation: float, effect: float, size: float = 1) -> float:
    """The chance that n questions, of more than one document, show a true difference ``effect`` at
    two-sided 5 %.

    >>> round(power_at(4908, 0.25, 0.01), 3), round(power_at(120, 0.25, 0.05, size=20), 3)
    (0.8, 0.426)
    """
    from scipy.special import nctdtr

    freedom = n / size - 1
    shift = effect * math.sqrt(n) / deviation
    below = float(nctdtr(freedom, shift, student_quantile(freedom, TWO_SIDED_5)))
    return 1.0 if math.isnan(below) else 1 - below  # it is NaN where it underflows


def _shows(
    n: int, deviation: float, effect: float, power: float, level: float, size: float
) -> bool:
    _, reach = _reach(n / size - 1, power, level)
    return effect * math.sqrt(n) >= reach * deviation


def _reach(freedom: float, power: float, level: float) -> tuple[float, float]:
    """The bound that t must be beyond, and the noncentrality with which it is, with that power."""
    from scipy.special import nctdtrinc

    bound = student_quantile(freedom, level)
    return bound, float(nctdtrinc(freedom, 1 - power, bound)) if power > 1 - level else 0.0


def _least(enough: Callable[[int], bool], size: float) -> int:
    """The least n of LEAST_DOCUMENTS or more that is ``enough``, as every greater one is."""
    least = math.ceil(LEAST_DOCUMENTS * size)
    most = least
    while not enough(most):
        most *= 2
    while least < most:  # bisect counts no farther than a machine word
        middle = (least + most) // 2
        least, most = (least, middle) if enough(middle) else (middle + 1, most)
    return least


def _check(deviation: float, effect: float, power: float, size: float) -> None:
    if not (0 < power < 1 and effect > 0 and deviation > 0 and size >= 1):
        raise ValueError(
            f"power {power} is not in (0, 1), or effect {effect} or deviation {deviation} is not "
            f"positive, or {size} questions a document are fewer than one"
        )
