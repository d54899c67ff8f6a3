"""The ratio of two versions' quantiles (p95 latency), by the bootstrap over clusters.

Whole clusters (a question, a user) are drawn with replacement; where the versions answered the
same questions, both keep the same draw. The bounds are percentiles of the drawn ratios (Efron &
Tibshirani 1993, §13; for clusters Field & Welsh 2007).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragdiag.stats.contrasts import Floats, cluster_numbers, defined

RESAMPLES = 1_999
BLOCK = 4_000_000
"""Counts held at once, so that many values need no more memory than few."""


@dataclass(frozen=True, slots=True)
class QuantileRatio:
    """The quantile of each version, and what the draws made of B's and of B's over A's: shape
    (RESAMPLES,) each. ``n`` counts B's values, ``clusters`` those of the side that has fewer."""

    n: int
    clusters: int
    a: float
    b: float
    drawn_b: Floats
    drawn_ratios: Floats

    @property
    def ratio(self) -> float:
        return self.b / self.a


def paired_quantiles(
    a: Sequence[float],
    b: Sequence[float],
    q: float,
    *,
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> QuantileRatio:
    """The q-quantiles (⌈nq⌉-th smallest) of the same questions under both versions, in one order.

    Pairs undefined (NaN) on either side are left out. The same values and seed give the same
    draws. Raises ValueError if the lengths differ.

    >>> found = paired_quantiles([10.0, 20.0, 40.0], [11.0, 22.0, 44.0], 0.5)
    >>> found.a, found.b, bool(np.allclose(found.drawn_ratios, 1.1))
    (20.0, 22.0, True)
    """
    owners = range(len(a)) if clusters is None else clusters
    triples = zip(a, b, owners, strict=True)
    kept = [row for row in triples if not (math.isnan(row[0]) or math.isnan(row[1]))]
    names = [row[2] for row in kept]
    sides = (
        _Values.of([row[0] for row in kept], names),
        _Values.of([row[1] for row in kept], names),
    )
    generator = np.random.default_rng(seed)
    drawn: tuple[list[Floats], list[Floats]] = ([], [])
    for rows in _blocks(len(kept)):
        counts = _counts(generator, rows, len(sides[0].sizes))
        for side, quantiles in zip(sides, drawn, strict=True):
            quantiles.append(side.quantiles(counts, q))
    return _ratio(sides, drawn, q)


def independent_quantiles(
    a: Sequence[float],
    b: Sequence[float],
    q: float,
    *,
    clusters_a: Sequence[Hashable] | None = None,
    clusters_b: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> QuantileRatio:
    """As :func:`paired_quantiles` for versions that answered different requests: each side draws
    its own clusters.

    >>> found = independent_quantiles([10.0] * 3, [15.0] * 4, 0.95)
    >>> found.ratio, float(found.drawn_ratios.max())
    (1.5, 1.5)
    """
    sides = _Values.of(*defined(a, clusters_a)), _Values.of(*defined(b, clusters_b))
    generator = np.random.default_rng(seed)
    drawn: tuple[list[Floats], list[Floats]] = ([], [])
    for side, quantiles in zip(sides, drawn, strict=True):
        for rows in _blocks(len(side.owners)):
            quantiles.append(side.quantiles(_counts(generator, rows, len(side.sizes)), q))
    return _ratio(sides, drawn, q)


@dataclass(frozen=True, slots=True)
class _Values:
    """Values with the largest first, the number of each one's cluster, and the clusters' sizes."""

    descending: Floats
    owners: npt.NDArray[np.intp]
    sizes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, values: Sequence[float] | Floats, names: Sequence[Hashable]) -> _Values:
        given = np.asarray(values, dtype=np.float64)
        numbers, count = cluster_numbers(names)
        order = np.argsort(-given, kind="stable")
        return cls(given[order], numbers[order], np.bincount(numbers, minlength=count))

    def quantiles(self, counts: npt.NDArray[np.int64], q: float) -> Floats:
        """The q-quantile where each cluster stands as often as ``counts``, shape (rows, clusters),
        says. Only as much of the tail is counted as the quantile lies in."""
        totals = counts @ self.sizes
        above = totals - np.maximum(1, np.ceil(q * totals - 1e-9))
        depth = math.ceil(2 * (1 - q) * len(self.owners)) + 10
        while True:
            reached = np.cumsum(counts[:, self.owners[:depth]], axis=1)
            if depth >= len(self.owners) or bool(np.all(reached[:, -1] > above)):
                places = np.argmax(reached > above[:, None], axis=1)
                return np.asarray(self.descending[places], dtype=np.float64)
            depth *= 2

    def quantile(self, q: float) -> float:
        once = np.ones((1, len(self.sizes)), dtype=np.int64)
        return float(self.quantiles(once, q)[0])


def _blocks(n: int) -> list[int]:
    """How many draws at a time; none where there is nothing to draw from."""
    if not n:
        return []
    rows = max(1, BLOCK // n)
    return [min(rows, RESAMPLES - start) for start in range(0, RESAMPLES, rows)]


def _counts(generator: np.random.Generator, rows: int, clusters: int) -> npt.NDArray[np.int64]:
    """How often each cluster is drawn, shape (rows, clusters)."""
    drawn = generator.integers(0, clusters, size=(rows, clusters))
    drawn += np.arange(rows)[:, None] * clusters
    return np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters)


def _ratio(
    sides: tuple[_Values, _Values], drawn: tuple[list[Floats], list[Floats]], q: float
) -> QuantileRatio:
    if not (drawn[0] and drawn[1]):
        nothing = np.zeros(0)
        return QuantileRatio(0, 0, math.nan, math.nan, nothing, nothing)
    of_a, of_b = (np.concatenate(parts) for parts in drawn)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = of_b / of_a
    return QuantileRatio(
        n=len(sides[1].owners),
        clusters=min(len(side.sizes) for side in sides),
        a=sides[0].quantile(q),
        b=sides[1].quantile(q),
        drawn_b=of_b,
        drawn_ratios=ratios,
    )
