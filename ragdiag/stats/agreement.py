"""How far a grader agrees with people: accuracy, κ, sensitivity, specificity, AUROC.

F is the grader's 0 or 1, Y what people say. Items that the grader could not decide are no
agreement and no disagreement: they are counted, and bound the agreement from both sides.
Sources: Cohen 1960 (κ); Fleiss, Cohen & Everitt 1969 (its variance); DeLong et al. 1988 (AUROC
and its variance).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdiag.records import Estimate
from ragdiag.stats.intervals import Z95, rate_bounds_with_unknown, student_quantile, wilson

LEAST_OF_EACH = 3
"""Right and wrong answers that an interval of an AUROC takes."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """A grader against people on the same ``n`` items, ``unknown`` of them without a decision.

    ``bounds`` is the agreement if every unknown were wrong, and if every one were right.
    ``sensitivity`` is P(F=1 | Y=1), ``specificity`` P(F=0 | Y=0). ``told``, where labels weigh
    unequally, is how many labels drawn alike would tell these two as well.
    """

    n: int
    unknown: int
    accuracy: Estimate
    bounds: tuple[float, float]
    kappa: Estimate
    sensitivity: Estimate
    specificity: Estimate
    auroc: Estimate
    told: Mapping[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        names = ("accuracy", "kappa", "sensitivity", "specificity", "auroc")
        return {
            "n": self.n,
            "unknown": self.unknown,
            "bounds": [None if math.isnan(bound) else bound for bound in self.bounds],
            **{name: getattr(self, name).to_json() for name in names},
            **({} if self.told is None else {"told": dict(self.told)}),
        }


def agreement(
    graded: Sequence[int | None], labels: Sequence[int], scores: Sequence[float | None]
) -> Agreement:
    """Compare item by item; ``scores`` (higher: more likely right) give the AUROC alone.

    >>> found = agreement([1, 1, 0, None], [1, 0, 0, 1], [0.9, 0.6, 0.2, None])
    >>> found.unknown, round(found.accuracy.value, 3), found.bounds, found.auroc.value
    (1, 0.667, (0.5, 0.75), 1.0)
    """
    pairs = [(f, y) for f, y in zip(graded, labels, strict=True) if f is not None]
    right = sum(f == y for f, y in pairs)
    unknown = len(labels) - len(pairs)
    scored = [(s, y) for s, y in zip(scores, labels, strict=True) if s is not None]
    return Agreement(
        n=len(labels),
        unknown=unknown,
        accuracy=wilson(right, len(pairs)),
        bounds=rate_bounds_with_unknown(right, len(pairs), unknown),
        kappa=cohen_kappa([f for f, _ in pairs], [y for _, y in pairs]),
        sensitivity=wilson(sum(f == y == 1 for f, y in pairs), sum(y == 1 for _, y in pairs)),
        specificity=wilson(sum(f == y == 0 for f, y in pairs), sum(y == 0 for _, y in pairs)),
        auroc=auroc([s for s, _ in scored], [y for _, y in scored]),
    )


def cohen_kappa(a: Sequence[int], b: Sequence[int]) -> Estimate:
    """κ = (p_o − p_e) / (1 − p_e) of two 0/1 raters, with an interval; undefined where chance alone
    would agree always (both gave one and the same label).

    The interval is the normal one of the table with one item more in each cell (a uniform prior;
    Fienberg & Holland 1973, JASA 68:683), widened to κ itself. That of the table as it is covers
    84 % at 50 items of which 5 % have the rarer label, and has no width at perfect agreement.

    >>> found = cohen_kappa([1, 1, 0, 0], [1, 0, 0, 0])
    >>> round(found.value, 3), round(found.low, 2), round(found.high, 2)
    (0.5, -0.4, 0.9)
    """
    n = len(a)
    if n == 0:
        return Estimate.undefined("no rows")
    table = np.zeros((2, 2))
    np.add.at(table, (np.asarray(a), np.asarray(b)), 1)
    kappa = _kappa(table)[0]
    if math.isnan(kappa):
        return Estimate.undefined("one label only", n=n)
    centre, error = _kappa(table + 1)
    low, high = max(centre - Z95 * error, -1.0), min(centre + Z95 * error, 1.0)
    return Estimate(kappa, min(low, kappa), max(high, kappa), n)


def _kappa(counts: npt.NDArray[np.float64]) -> tuple[float, float]:
    """κ of a 2 × 2 table and its standard error; NaN where one label is all there is."""
    table = counts / counts.sum()
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    observed, expected = float(np.trace(table)), float(rows @ columns)
    if expected > 1 - 1e-12:
        return math.nan, math.nan
    kappa = (observed - expected) / (1 - expected)
    # Of cell (i, j): column i and row j, as in the paper.
    margins = columns[:, None] + rows[None, :]
    diagonal = sum(table[i, i] * (1 - margins[i, i] * (1 - kappa)) ** 2 for i in range(2))
    off = (1 - kappa) ** 2 * sum(table[i, 1 - i] * margins[i, 1 - i] ** 2 for i in range(2))
    spread = diagonal + off - (kappa - expected * (1 - kappa)) ** 2
    return kappa, math.sqrt(max(spread, 0.0) / counts.sum()) / (1 - expected)


def auroc(
    scores: Sequence[float], labels: Sequence[int], weights: Sequence[float] | None = None
) -> Estimate:
    """P(score of a right answer > score of a wrong one), ties half, with its interval inside 0 … 1.
    At 0 or 1 exactly, and where all scores tie, the variance is 0 and says nothing: no interval.

    The interval is DeLong's on the logit, by Student's t with Welch & Satterthwaite's degrees of
    freedom of the variance's two parts, or the score interval of Newcombe (2006, Statistics in
    Medicine 25:559, method 5), whichever reaches farther. Few of one label may have scores that
    are nearly alike, and 1.96 of DeLong's errors then cover 73 % of 2, 83 % of 5 among 200. There
    is none below LEAST_OF_EACH. An answer may weigh as many as it stands for; Kish's n counts then.

    >>> round(auroc([0.9, 0.8, 0.3, 0.4], [1, 0, 0, 1]).value, 3)
    0.75
    """
    values, truth = np.asarray(scores, dtype=float), np.asarray(labels, dtype=int)
    weighs = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=float)
    right, wrong = ((values[truth == y], weighs[truth == y]) for y in (1, 0))
    n, fewer = len(values), min(len(right[0]), len(wrong[0]))
    if not fewer:
        return Estimate.undefined("one label only", n=n)
    above, below = placements(right, wrong), 1 - placements(wrong, right)
    area = float(np.average(above, weights=right[1]))
    if area in (0.0, 1.0):
        return Estimate(area, math.nan, math.nan, n, "no interval: perfect")
    if fewer < LEAST_OF_EACH:
        why = f"no interval: {fewer} of one label, it takes {LEAST_OF_EACH}"
        return Estimate(area, math.nan, math.nan, n, why)
    if values.min() == values.max():
        return Estimate(area, math.nan, math.nan, n, "no interval: all scores tie")
    told = [_told(weights, float(weighs.max())) for _, weights in (right, wrong)]
    errors = [_squared_error(above, right[1]), _squared_error(below, wrong[1])]
    delong, newcombe = _delong_bounds(area, errors, told), newcombe_bounds(area, *told)
    return Estimate(area, min(delong[0], newcombe[0]), max(delong[1], newcombe[1]), n)


Values = npt.NDArray[np.float64]


def placements(of: tuple[Values, Values], among: tuple[Values, Values]) -> Values:
    """For each value the share of the others' weight below it, ties half; both are values with
    their weights."""
    order = np.argsort(among[0], kind="stable")
    others, heaped = among[0][order], np.concatenate([[0.0], np.cumsum(among[1][order])])
    sides = [heaped[np.searchsorted(others, of[0], side)] for side in ("left", "right")]
    shares: Values = (sides[0] + sides[1]) / 2 / heaped[-1]
    return shares


def _delong_bounds(
    area: float, errors: Sequence[float], told: Sequence[float]
) -> tuple[float, float]:
    """Student's on the logit, from the squared errors of both labels' placements."""
    error = sum(errors)
    parts = [one**2 / max(n - 1, 1.0) for one, n in zip(errors, told, strict=True)]
    freedom = error**2 / sum(parts)
    return on_logit(area, student_quantile(freedom) * math.sqrt(error))


def on_logit(area: float, reach: float) -> tuple[float, float]:
    """The bounds that are ``reach`` away on the logit, as its slope at ``area`` has it; so they
    stay inside 0 … 1."""
    half, logit = reach / (area * (1 - area)), math.log(area / (1 - area))
    low, high = (0.5 * (1 + math.tanh((logit + sign * half) / 2)) for sign in (-1, 1))
    return low, high


def _squared_error(values: Values, weights: Values) -> float:
    """Of their mean."""
    apart = values - np.average(values, weights=weights)
    n = len(weights)
    return float(weights**2 @ apart**2) / float(weights.sum()) ** 2 * n / (n - 1)


def _told(weights: Values, heaviest: float) -> float:
    """How many of one weight tell as much (Kish 1965), of these and one that weighs most, less that
    one: where all that were drawn of a label weigh little, a heavy one may only have been missed.
    """
    return float((weights.sum() + heaviest) ** 2 / (weights @ weights + heaviest**2)) - 1


def newcombe_bounds(area: float, m: float, k: float) -> tuple[float, float]:
    """The areas that are Z95 of their own standard error away, which is Hanley & McNeil's with
    (m + k) / 2 − 1 in place of both m − 1 and k − 1."""
    others = (m + k) / 2 - 1

    def is_within(true: float) -> bool:
        alike = (1 - true) / (2 - true) + true / (1 + true)
        variance = true * (1 - true) * (1 + others * alike) / (m * k)
        return (true - area) ** 2 <= Z95**2 * variance

    def bound(end: float) -> float:
        inside, outside = area, end
        for _ in range(40):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if is_within(middle) else (inside, middle)
        return inside

    return bound(0.0), bound(1.0)
