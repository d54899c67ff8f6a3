"""A rate from many automatic grades, corrected by few human labels (METHODS.md §8).

F is the automatic 0/1 grade of every row, Y what people say of a sample. In each cell (stratum × F)
of known share w the labels tell the rate q = P(Y=1 | cell), and θ = Σ w·q. Labels of another time
correct by sensitivity and specificity instead (Rogan & Gladen 1978), by seeded draws. Used alone,
an automatic grade is off by its own bias, whatever its n; both corrections carry what the few
labels leave open into the interval.

Rows whose truth needs no label, like those that nobody answered, are settled: a cell of their own,
without any error of its rate.

Where rows were logged with a known chance p, a cell has rows of one weight 1 / p only. Its r rows
then stand for about r / p, a size whose variance is r (1 − p) / p².
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragdiag.records import Estimate, Weighed
from ragdiag.stats.intervals import Z95, score_interval
from ragdiag.stats.weighted import effective_n

DRAWS = 20_000
LEAST_LABELS = 20
"""Of 20 the interval is a third of 0 … 1 wide on average; fewer decide nothing."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The rows of one stratum that have one automatic grade: ``rows`` in all, of which ``labelled``
    have a human label and ``right`` of those are right. Each stands for ``weight`` rows, 1 where
    everything was logged. ``settled``: what is right of all rows is known, logged or not, and they
    are no labels. Cells of one ``group`` have rates that are likely to be alike, as those of one
    grade; without one a cell stands alone."""

    rows: int
    labelled: int
    right: int
    weight: float = 1.0
    settled: bool = False
    group: str | None = None

    @property
    def size(self) -> float:
        """How many rows these stand for."""
        return self.rows * self.weight

    @property
    def rate(self) -> float:
        """Of those that are known."""
        return self.right / self.labelled

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
    ``correct_rejections`` of ``negatives`` were graded 0. Of labels that weigh unequally they are
    what as many labels drawn alike would be (weighted_agreement.py)."""

    hits: float
    positives: float
    correct_rejections: float
    negatives: float


def corrected_rate(cells: Sequence[Cell]) -> Estimate:
    """θ with its 95 % interval; labels are random within each cell. Its n are the labels.

    The value is the stratified mean Σ w·q of what the labels say, which no prior moves (Cochran
    1977, Sampling Techniques, §5.3). Its interval adds up those of the groups
    (:func:`_group_bounds`) and the error of the sizes by MOVER (Zou & Donner 2008). A Beta(½, ½)
    for each cell instead would weigh as much as one label of each: of ten topics with 100 labels
    and a rate of .95 it held the truth never.

    The interval is that of the finite set of rows, logged or not: a labelled row is known, only the
    others are open. Undefined without rows, below LEAST_LABELS unless all rows have a label, and
    where a cell has none, unless it is settled.

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
    whole = math.fsum(cell.size for cell in filled)
    value = min(math.fsum(cell.size * cell.rate for cell in filled) / whole, 1.0)
    sizes = math.fsum(c.size * (c.weight - 1) * (c.rate - value) ** 2 for c in filled)
    below = above = Z95**2 * sizes / whole**2
    for group in _groups(filled):
        rate, low, high = _group_bounds(group)
        share = math.fsum(cell.size for cell in group) / whole
        below += (share * (rate - low)) ** 2
        above += (share * (high - rate)) ** 2
    least, most = 0.0, 1.0
    if all(cell.weight == 1 for cell in filled):  # what is known bounds what is open
        least = sum(cell.right for cell in filled) / whole
        most = 1 - sum(cell.labelled - cell.right for cell in filled) / whole
    low, high = max(value - math.sqrt(below), least), min(value + math.sqrt(above), most)
    return Estimate(value, min(low, value), max(high, value), labelled)


def _groups(filled: Sequence[Cell]) -> Iterable[list[Cell]]:
    """The cells that have open rows and a rate with an error, by group."""
    groups: dict[str | int, list[Cell]] = defaultdict(list)
    for number, cell in enumerate(filled):
        if not cell.settled:
            groups[number if cell.group is None else cell.group].append(cell)
    return [group for group in groups.values() if any(c.size > c.labelled for c in group)]


def _group_bounds(group: Sequence[Cell]) -> tuple[float, float, float]:
    """The rate of a group's rows, and its score interval for the n that would tell it as well, rate
    (1 − rate) / variance (Korn & Graubard 1998, of design-based variances).

    The variance is Σ s²·v·(1/n − 1/N) over cells with share s of the group, n labels and N rows. A
    cell of two labels that are alike seems to have none, so v is that of its rate with one label
    more that says the group's; over 1 − n / (n + 1)², it is right on average where rates are equal.
    The same with the group's own rate (1 − rate) for every v is taken where it is more. So a group
    of one cell has the interval of its labels alone, for n / (1 − n/N) of them.
    """
    whole = math.fsum(cell.size for cell in group)
    rate = min(math.fsum(cell.size * cell.rate for cell in group) / whole, 1.0)
    alike = apart = 0.0
    for cell in group:
        n = cell.labelled
        factor = (cell.size / whole) ** 2 * (1 / n - 1 / cell.size)
        drawn_in = (cell.right + rate) / (n + 1)
        alike += factor
        apart += factor * drawn_in * (1 - drawn_in) / (1 - n / (n + 1) ** 2)
    spread = rate * (1 - rate)
    told = 1 / alike
    if len(group) > 1 and apart > spread * alike:
        told = spread / apart
    return rate, *score_interval(rate, told)


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
