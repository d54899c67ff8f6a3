"""A rate from many automatic grades, corrected by few human labels (METHODS.md §8).

F is the automatic 0/1 grade of every row, Y what people say of a sample. In each cell (stratum ×
F) of known share w the rate q = P(Y=1 | cell) has a Beta(½, ½) posterior, and θ = Σ w·q. Labels of
another time correct by sensitivity and specificity instead (Rogan & Gladen 1978). Used alone, an
automatic grade is off by its own bias, whatever its n; both corrections carry what the few labels
leave open into the interval, by draws. All draws are seeded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragdiag.records import Estimate

DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class Cell:
    """The rows of one stratum that have one automatic grade: ``rows`` in all, of which ``labelled``
    have a human label and ``right`` of those are right."""

    rows: int
    labelled: int
    right: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.labelled <= self.rows:
            raise ValueError(f"{self.right} right of {self.labelled} labelled of {self.rows} rows")


@dataclass(frozen=True, slots=True)
class Confusion:
    """Human labels of an earlier window: ``hits`` of ``positives`` were graded 1, and
    ``correct_rejections`` of ``negatives`` were graded 0."""

    hits: int
    positives: int
    correct_rejections: int
    negatives: int


def corrected_rate(cells: Sequence[Cell], seed: int = 0) -> Estimate:
    """θ with its 95 % interval; labels are random within each cell. Its n are the labels.

    The interval is that of the finite set of rows: a labelled row is known, only the others are
    open. Undefined without rows or without any label; a cell without labels is wide open.

    >>> found = corrected_rate([Cell(800, 40, 36), Cell(200, 10, 1)])
    >>> round(found.value, 2), found.n
    (0.74, 50)
    """
    filled = [cell for cell in cells if cell.rows]
    labelled, rows = sum(c.labelled for c in filled), sum(c.rows for c in filled)
    if not labelled:
        return Estimate.undefined("no human label" if rows else "no rows")
    generator = np.random.default_rng(seed)
    theta = np.zeros(DRAWS)
    for cell in filled:
        q = generator.beta(cell.right + 0.5, cell.labelled - cell.right + 0.5, DRAWS)
        theta += cell.right + generator.binomial(cell.rows - cell.labelled, q)
    return _summary(theta / rows, labelled)


def rogan_gladen_rate(graded_right: int, rows: int, past: Confusion, seed: int = 0) -> Estimate:
    """The rate behind ``graded_right`` of ``rows``, from sensitivity and specificity of old labels:
    θ = (p + sp − 1) / (se + sp − 1), held to 0 … 1. Its n are the rows.

    Draws whose se + sp does not exceed 1 say nothing about θ: where more than 1 in 40 do, the rate
    is undefined, since the grader is not known to be better than chance.

    >>> found = rogan_gladen_rate(700, 1000, Confusion(85, 100, 93, 100))
    >>> round(found.value, 1)
    0.8
    >>> rogan_gladen_rate(700, 1000, Confusion(5, 10, 5, 10)).reason
    'the grader is not known to be better than chance'
    """
    if not rows or not past.positives or not past.negatives:
        return Estimate.undefined("no rows" if not rows else "one label only", n=rows)
    generator = np.random.default_rng(seed)

    def drawn(successes: int, n: int) -> npt.NDArray[np.float64]:
        return generator.beta(successes + 0.5, n - successes + 0.5, DRAWS)

    p, se = drawn(graded_right, rows), drawn(past.hits, past.positives)
    sp = drawn(past.correct_rejections, past.negatives)
    informed = se + sp > 1
    if informed.mean() < 1 - 1 / 40:
        return Estimate.undefined("the grader is not known to be better than chance", n=rows)
    theta = (p[informed] + sp[informed] - 1) / (se[informed] + sp[informed] - 1)
    return _summary(np.clip(theta, 0.0, 1.0), rows)


def _summary(draws: npt.NDArray[np.float64], n: int) -> Estimate:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(float(draws.mean()), float(low), float(high), n)
