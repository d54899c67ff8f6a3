"""A rate from many automatic grades, corrected by few human labels (METHODS.md §8).

F is the automatic 0/1 grade of every row, Y what people say of a sample. In each cell (stratum ×
F) of known share w the rate q = P(Y=1 | cell) has a Beta(½, ½) posterior, and θ = Σ w·q. Labels of
another time correct by sensitivity and specificity instead (Rogan & Gladen 1978). Used alone, an
automatic grade is off by its own bias, whatever its n; both corrections carry what the few labels
leave open into the interval, by draws. All draws are seeded.

Rows whose truth needs no label, like those that nobody answered, are settled: a cell of their own,
without any error of its rate.

Where rows were logged with a known chance p, a cell has rows of one weight 1 / p only. Its r rows
then stand for r + U, with U ~ NegBin(r, p), the posterior under the prior 1 / N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragdiag.records import Estimate, Weighed
from ragdiag.stats.weighted import effective_n

DRAWS = 20_000
LEAST_LABELS = 20
"""Fewer, of a rate near 0 or 1, and the interval holds it less than 90 times in a hundred; and the
value is as much the prior's as the labels'."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The rows of one stratum that have one automatic grade: ``rows`` in all, of which ``labelled``
    have a human label and ``right`` of those are right. Each stands for ``weight`` rows, 1 where
    everything was logged. ``settled``: what is right of all rows is known, logged or not, and they
    are no labels."""

    rows: int
    labelled: int
    right: int
    weight: float = 1.0
    settled: bool = False

    @classmethod
    def known(cls, rows: int, right: int, weight: float) -> Cell:
        """A settled cell."""
        return cls(rows, rows, right, weight, settled=True)

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

    The interval is that of the finite set of rows, logged or not: a labelled row is known, only the
    others are open. Undefined without rows, below LEAST_LABELS unless all rows have a label, and
    where a cell has none, unless it is settled: its rate would be the prior's alone.

    >>> found = corrected_rate([Cell(800, 40, 36), Cell(200, 10, 1)])
    >>> round(found.value, 2), found.n
    (0.74, 50)
    >>> sampled = corrected_rate([Cell(100, 40, 36, weight=8), Cell(200, 10, 1)])
    >>> round(sampled.value, 2)
    0.74
    """
    filled = [cell for cell in cells if cell.rows]
    labelled = sum(cell.labelled for cell in filled if not cell.settled)
    if why := _why_unknown(filled, labelled):
        return Estimate.undefined(why, n=labelled)
    generator = np.random.default_rng(seed)
    right, rows = np.zeros(DRAWS), np.zeros(DRAWS)
    for cell in filled:
        if cell.settled:
            q = np.full(DRAWS, cell.right / cell.rows)
        else:
            q = generator.beta(cell.right + 0.5, cell.labelled - cell.right + 0.5, DRAWS)
        open_rows = np.full(DRAWS, cell.rows - cell.labelled)
        if cell.weight > 1:
            open_rows += generator.negative_binomial(cell.rows, 1 / cell.weight, DRAWS)
        right += cell.right + generator.binomial(open_rows, q)
        rows += cell.labelled + open_rows
    return _summary(right / rows, labelled)


def _why_unknown(filled: Sequence[Cell], labelled: int) -> str | None:
    if not filled:
        return "no rows"
    asked = [cell for cell in filled if not cell.settled]
    is_open = any(cell.labelled < cell.rows or cell.weight > 1 for cell in asked)
    if is_open and not labelled:
        return "no human label"
    if is_open and labelled < LEAST_LABELS:
        return f"a rate needs {LEAST_LABELS} labels"
    blank = [cell.rows for cell in asked if not cell.labelled]
    if not blank:
        return None
    return f"no label in {len(blank)} of {len(asked)} strata ({sum(blank)} answers)"


NO_ROWS = Weighed.of(0)


def rogan_gladen_rate(
    graded_right: Weighed,
    graded: Weighed,
    past: Confusion,
    seed: int = 0,
    *,
    settled: Weighed = NO_ROWS,
) -> Estimate:
    """The rate behind ``graded_right`` of ``graded``, from sensitivity and specificity of old
    labels: θ = (p + sp − 1) / (se + sp − 1), held to 0 … 1. Its n are the rows that were logged; p
    is told by the effective n of them. ``settled`` rows beside those are known to be wrong: θ is
    times the share of the others, which is known too, unless the log is a sample.

    Draws whose se + sp does not exceed 1 say nothing about θ: where more than 1 in 40 do, the rate
    is undefined, since the grader is not known to be better than chance.

    >>> found = rogan_gladen_rate(Weighed.of(700), Weighed.of(1000), Confusion(85, 100, 93, 100))
    >>> round(found.value, 1)
    0.8
    >>> rogan_gladen_rate(Weighed.of(700), Weighed.of(1000), Confusion(5, 10, 5, 10)).reason
    'the grader is not known to be better than chance'
    """
    whole = graded + settled
    rows = int(whole.plain)
    if not graded.plain or not past.positives or not past.negatives:
        return Estimate.undefined("no rows" if not graded.plain else "one label only", n=rows)
    generator = np.random.default_rng(seed)
    rate, told = graded_right.weighted / graded.weighted, effective_n(graded_right, graded)

    def drawn(successes: float, n: float) -> npt.NDArray[np.float64]:
        return generator.beta(successes + 0.5, n - successes + 0.5, DRAWS)

    p, se = drawn(rate * told, told), drawn(past.hits, past.positives)
    sp = drawn(past.correct_rejections, past.negatives)
    informed = se + sp > 1
    if informed.mean() < 1 - 1 / 40:
        return Estimate.undefined("the grader is not known to be better than chance", n=rows)
    theta = (p[informed] + sp[informed] - 1) / (se[informed] + sp[informed] - 1)
    theta, share = np.clip(theta, 0.0, 1.0), graded.weighted / whole.weighted
    if settled.plain and not whole.is_plain:
        n = effective_n(graded, whole)
        return _summary(theta * drawn(share * n, n)[informed], rows)
    return _summary(theta * share, rows)


def _summary(draws: npt.NDArray[np.float64], n: int) -> Estimate:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(float(draws.mean()), float(low), float(high), n)
