"""How far a grader agrees with people: accuracy, κ, sensitivity, specificity, AUROC.

F is the grader's 0 or 1, Y what people say. Items that the grader could not decide are no
agreement and no disagreement: they are counted, and bound the agreement from both sides.
Sources: Cohen 1960 (κ); Fleiss, Cohen & Everitt 1969 (its variance); DeLong et al. 1988, with the
mid-ranks of Sun & Xu 2014 (AUROC and its variance).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdiag.records import Estimate
from ragdiag.stats.intervals import Z95, rate_bounds_with_unknown, wilson


@dataclass(frozen=True, slots=True)
class Agreement:
    """A grader against people on the same ``n`` items, ``unknown`` of them without a decision.

    ``bounds`` is the agreement if every unknown were wrong, and if every one were right.
    ``sensitivity`` is P(F=1 | Y=1), ``specificity`` P(F=0 | Y=0).
    """

    n: int
    unknown: int
    accuracy: Estimate
    bounds: tuple[float, float]
    kappa: Estimate
    sensitivity: Estimate
    specificity: Estimate
    auroc: Estimate

    def to_json(self) -> dict[str, Any]:
        names = ("accuracy", "kappa", "sensitivity", "specificity", "auroc")
        return {
            "n": self.n,
            "unknown": self.unknown,
            "bounds": [None if math.isnan(bound) else bound for bound in self.bounds],
            **{name: getattr(self, name).to_json() for name in names},
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


def auroc(scores: Sequence[float], labels: Sequence[int]) -> Estimate:
    """P(score of a right answer > score of a wrong one), ties half, with DeLong's interval on the
    logit, so that it stays inside 0 … 1. At 0 or 1 exactly, and where all scores tie, the variance
    is 0 and says nothing: no interval.

    >>> round(auroc([0.9, 0.8, 0.3, 0.4], [1, 0, 0, 1]).value, 3)
    0.75
    """
    values, truth = np.asarray(scores, dtype=float), np.asarray(labels, dtype=int)
    right, wrong = values[truth == 1], values[truth == 0]
    m, k = len(right), len(wrong)
    if not m or not k:
        return Estimate.undefined("one label only", n=m + k)
    whole = _mid_ranks(np.concatenate([right, wrong]))
    from_right = (whole[:m] - _mid_ranks(right)) / k
    from_wrong = 1 - (whole[m:] - _mid_ranks(wrong)) / m
    area = float(from_right.mean())
    if area in (0.0, 1.0) or min(m, k) < 2:
        return Estimate(area, math.nan, math.nan, m + k, "no interval: perfect, or too few")
    if values.min() == values.max():
        return Estimate(area, math.nan, math.nan, m + k, "no interval: all scores tie")
    error = math.sqrt(from_right.var(ddof=1) / m + from_wrong.var(ddof=1) / k)
    half, logit = Z95 * error / (area * (1 - area)), math.log(area / (1 - area))
    low, high = (1 / (1 + math.exp(-(logit + sign * half))) for sign in (-1, 1))
    return Estimate(area, low, high, m + k)


def _mid_ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks from 1, tied values sharing the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return ranks
