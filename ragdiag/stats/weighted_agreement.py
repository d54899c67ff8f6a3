"""How far a grader agrees with people, from labels that were drawn with unequal chances.

Labels that were drawn by what a grader says have other shares of right and wrong grades than the
answers have. Read as they are, sensitivity and specificity are then biased (verification bias:
Begg & Greenes 1983, Biometrics 39:207), and so are accuracy, κ and AUROC. So each label weighs as
many answers as it stands for, 1 / its chance (Horvitz & Thompson 1952).

In each stratum (labels of one weight) and grade f the labels tell P(Y=1 | stratum, f). Intervals
are quantiles of draws from the posteriors of these rates and of the strata's sizes. Each grade has
one Beta(½, ½) prior, split over its strata by their shares: a whole one for each would pull many
small strata to one half (mixed_labels.py).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragdiag.records import Estimate
from ragdiag.stats.agreement import Agreement, agreement, auroc
from ragdiag.stats.intervals import rate_bounds_with_unknown, score_interval

DRAWS = 10_000
Table = npt.NDArray[np.float64]
"""Sizes by grade and label, [f, y]; of draws [f, y, draw]."""


@dataclass(frozen=True, slots=True)
class Draw:
    """How a labelled answer came to be one: drawn with ``chance`` of those that are logged, of
    which each ``stands_for`` so many."""

    chance: float = 1.0
    stands_for: float = 1.0

    @property
    def weight(self) -> float:
        return self.stands_for / self.chance


def weighted_agreement(
    graded: Sequence[int | None],
    labels: Sequence[int],
    scores: Sequence[float | None],
    draws: Sequence[Draw],
    seed: int = 0,
) -> Agreement:
    """As :func:`agreement`, of the answers that these labels were drawn from; the same to the last
    digit where all have one weight. The n of an estimate are its labels.

    >>> light, heavy = Draw(), Draw(0.1)  # all 4 that were graded wrong, and 4 of 40 graded right
    >>> found = weighted_agreement(
    ...     [0] * 4 + [1] * 4, [0, 0, 1, 1, 1, 1, 1, 0], [None] * 8, [light] * 4 + [heavy] * 4)
    >>> round(found.sensitivity.value, 3), round(found.accuracy.value, 3)  # 30 of 32; 32 of 44
    (0.938, 0.727)
    """
    if len({draw.weight for draw in draws}) <= 1:
        return agreement(graded, labels, scores)
    pairs = [(f, y, d) for f, y, d in zip(graded, labels, draws, strict=True) if f is not None]
    seen, table, squares = np.zeros((3, 2, 2))
    for f, y, draw in pairs:
        seen[f, y] += 1
        table[f, y] += draw.weight
        squares[f, y] += draw.weight**2
    values, spread = _measures(table), _measures(_drawn_tables(pairs, seed))
    columns = {"sensitivity": 1, "specificity": 0}
    found, told = dict[str, Estimate](), dict[str, float]()
    for name, value in values.items():
        column = columns.get(name, slice(None))
        n, whole = int(seen[:, column].sum()), float(table[:, column].sum())
        kish = whole**2 / float(squares[:, column].sum()) if n else 0.0
        found[name] = _estimate(float(value), spread[name], n, kish)
        if n and name in columns:
            told[name] = _told(spread[name], kish)
    unknown = math.fsum(d.weight for f, d in zip(graded, draws, strict=True) if f is None)
    scored = [
        (s, y, d.weight) for s, y, d in zip(scores, labels, draws, strict=True) if s is not None
    ]
    return Agreement(
        n=len(labels),
        unknown=len(labels) - len(pairs),
        bounds=rate_bounds_with_unknown(float(np.trace(table)), float(table.sum()), unknown),
        auroc=auroc([s for s, _, _ in scored], [y for _, y, _ in scored], [w for *_, w in scored]),
        told=told,
        **found,
    )


def no_agreement(graded: Sequence[int | None], reason: str) -> Agreement:
    """Where the chances of the labels differ and are not known."""
    none = Estimate.undefined(reason, n=len(graded))
    return Agreement(
        n=len(graded),
        unknown=sum(f is None for f in graded),
        accuracy=none,
        bounds=(math.nan, math.nan),
        kappa=none,
        sensitivity=none,
        specificity=none,
        auroc=none,
    )


def _drawn_tables(pairs: Sequence[tuple[int, int, Draw]], seed: int) -> Table:
    """Tables as they may be, [f, y, draw]: of each stratum its size, the shares of the grades in it
    where both were seen, and how many are right of each grade."""
    strata: dict[Draw, Table] = defaultdict(lambda: np.zeros((2, 2)))
    for f, y, draw in pairs:
        strata[draw][f, y] += 1
    whole = sum(cells.sum(axis=1) * draw.weight for draw, cells in strata.items())
    generator = np.random.default_rng(seed)
    tables = np.zeros((2, 2, DRAWS))
    for draw, cells in sorted(strata.items(), key=lambda item: item[0].weight):
        rows = cells.sum(axis=1)
        size = draw.stands_for * generator.gamma(rows.sum() / draw.chance, size=DRAWS)
        said_right = (
            generator.beta(rows[1] + 0.5, rows[0] + 0.5, DRAWS)
            if rows.all()
            else float(rows[1] > 0)
        )
        for f, share in ((0, 1 - said_right), (1, said_right)):
            if rows[f]:
                prior = rows[f] * draw.weight / whole[f] / 2
                right = generator.beta(cells[f, 1] + prior, cells[f, 0] + prior, DRAWS)
                tables[f] += size * share * np.stack([1 - right, right])
    return tables


def _measures(table: Table) -> dict[str, Table]:
    """Of one table or of each draw; NaN where nothing, or one label alone, is there."""
    with np.errstate(invalid="ignore", divide="ignore"):
        whole = table.sum(axis=(0, 1))
        rows, columns = table.sum(axis=1) / whole, table.sum(axis=0) / whole
        agreed = (table[0, 0] + table[1, 1]) / whole
        expected = (rows * columns).sum(axis=0)
        return {
            "accuracy": agreed,
            "kappa": np.where(expected < 1 - 1e-12, (agreed - expected) / (1 - expected), np.nan),
            "sensitivity": table[1, 1] / table[:, 1].sum(axis=0),
            "specificity": table[0, 0] / table[:, 0].sum(axis=0),
        }


def _estimate(value: float, drawn: Table, n: int, kish: float) -> Estimate:
    """Draws cannot tell of a grade that was never seen: at 0 and 1 the score interval of Kish's n
    is taken where it reaches farther."""
    if math.isnan(value):
        return Estimate.undefined("one label only" if n else "no rows", n=n)
    low, high = map(float, np.nanquantile(drawn, [0.025, 0.975]))
    other = score_interval(value, kish) if value in (0.0, 1.0) else (value, value)
    return Estimate(value, min(low, *other), max(high, *other), n)


def _told(drawn: Table, kish: float) -> float:
    """How many labels drawn alike would tell the rate as well: n of the Beta distribution with that
    mean and variance, less its prior's one; Kish's n where the draws are all alike."""
    mean, variance = float(np.nanmean(drawn)), float(np.nanvar(drawn))
    return max(mean * (1 - mean) / variance - 2, 1.0) if variance > 1e-12 else kish
