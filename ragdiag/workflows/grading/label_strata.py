"""By which strata labels correct a grader's rate: they must be random within each.

Labels are drawn by more than the grader's word, by topic too (``grade sample --strata topic``) or
by what the default grader says (Review), and their chances are not kept in the lake. A rate of
coarser strata than they were drawn by is biased; one of finer strata is not (post-stratification:
Holt & Smith 1979, JRSS A 142:33), and costs little where each has a label. So the finest are taken
that do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ragdiag.stats.mixed_labels import Cell

DRAWS = 4_000
LEAST_P = 0.001
"""Labels that chance spreads so unevenly once in a thousand draws were not drawn alike."""

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """An answer: what the grader ``said``, its ``weight``, its ``label``, if any, and other
    ``facts`` that labels may have been drawn by, by name."""

    said: str
    weight: float
    label: int | None
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Strata:
    """``by`` which facts beside the grader's word, and the ``cells``. With a ``reason`` the labels
    are seen not to be random within these, and give no rate."""

    by: tuple[str, ...]
    cells: Sequence[Cell]
    reason: str | None = None


def choose_strata(
    rows: Sequence[Row], facts: Sequence[str], fixed: tuple[str, ...] | None = None, seed: int = 0
) -> Strata:
    """The strata by as many of ``facts`` as leave none without a label, earlier facts first, or by
    those that are ``fixed``. Where labels favour values of a fact that is left out, more than
    chance does once in a thousand draws, there is a reason why they give no rate. That is not
    asked where a stratum has no label: there is no rate anyway.

    >>> drawn = [Row("right", 1.0, 1 if n < 9 else None, {"topic": "a"}) for n in range(10)]
    >>> other = [Row("right", 1.0, 0 if n < 9 else None, {"topic": "b"}) for n in range(90)]
    >>> choose_strata(drawn + other, ["topic"]).by
    ('topic',)
    >>> choose_strata(drawn + other, ["topic"], fixed=()).reason
    'labels are not spread at random by topic, which these strata leave out'
    """
    several = [name for name in facts if len({row.facts[name] for row in rows}) > 1]
    tried = [
        tuple(chosen)
        for count in range(len(several), -1, -1)
        for chosen in combinations(several, count)
    ]
    for by in [fixed] if fixed is not None else tried:
        cells = _cells(rows, by)
        if all(cell.labelled for cell in cells):
            break
    else:
        return Strata(by, cells)
    for name in several:
        if name not in by and is_favoured(rows, by, name, seed):
            why = "which these strata leave out" if fixed is not None else "and some have none"
            return Strata(by, cells, f"labels are not spread at random by {name}, {why}")
    return Strata(by, cells)


def _cells(rows: Sequence[Row], by: Sequence[str]) -> list[Cell]:
    """Those of one thing that the grader said are a group."""
    counts: Counter[tuple[Key, float]] = Counter()
    told: dict[tuple[Key, float], list[int]] = defaultdict(list)
    for row in rows:
        key = (row.said, *(row.facts[name] for name in by)), row.weight
        counts[key] += 1
        if row.label is not None:
            told[key].append(row.label)
    return [
        Cell(counts[key], len(told[key]), sum(told[key]), key[1], group=key[0][0])
        for key in sorted(counts)
    ]


def is_favoured(rows: Sequence[Row], by: Sequence[str], name: str, seed: int) -> bool:
    """Whether labels spread over the values of ``name`` unlike simple random samples of the strata:
    the sum of (labels − expected)² / expected, against draws of as many from each stratum."""
    sizes: dict[tuple[Key, float], Counter[str]] = defaultdict(Counter)
    labels: dict[tuple[Key, float], Counter[str]] = defaultdict(Counter)
    for row in rows:
        key = (row.said, *(row.facts[one] for one in by)), row.weight
        sizes[key][row.facts[name]] += 1
        labels[key][row.facts[name]] += row.label is not None
    generator = np.random.default_rng(seed)
    seen, drawn = 0.0, np.zeros(DRAWS)
    for key in sorted(sizes):
        n = sum(labels[key].values())
        if not n:
            continue
        values = sorted(sizes[key])
        of = np.array([sizes[key][value] for value in values])
        expected = n * of / of.sum()
        seen += float(
            ((np.array([labels[key][v] for v in values]) - expected) ** 2 / expected).sum()
        )
        samples = generator.multivariate_hypergeometric(of, n, DRAWS, method="marginals")
        drawn += ((samples - expected) ** 2 / expected).sum(axis=1)
    # What is seen is one draw more; without it no p would be above 0 for certain.
    return bool((1 + (drawn >= seen - 1e-9).sum()) / (1 + DRAWS) < LEAST_P)
