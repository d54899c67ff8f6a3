"""The grid of test_coverage.py: what is drawn, and which interval is held against which truth.

A cell is a name and the share of samples whose interval holds the truth. Rates are computed by
listing every outcome; all else is drawn, RARE times where the interval is itself resampled and
OFTEN where it is not. Samples for which the product gives no interval are left out; more than
MISSING of them fail the cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from ragdiag.records import Estimate

RARE, OFTEN = 400, 1_000
MISSING = 0.5
SLACK = 1e-12

Chance = np.random.Generator
Floats = npt.NDArray[np.float64]
Cell = tuple[str, float]
Cells = Iterator[Cell]

RECIPROCAL = (1.0, 0.5, 1 / 3, 0.25, 0.1, 0.0)
SCORES = {
    "reciprocal ranks": (RECIPROCAL, (0.5, 0.15, 0.1, 0.05, 0.03, 0.17)),
    "reciprocal ranks, 70 % zero": (RECIPROCAL, (0.15, 0.06, 0.04, 0.03, 0.02, 0.7)),
    "reciprocal ranks, 90 % zero": (RECIPROCAL, (0.05, 0.02, 0.01, 0.01, 0.01, 0.9)),
    "recall, 97 % one": ((1.0, 0.5, 0.0), (0.97, 0.01, 0.02)),
}
"""Values and their chances, of a metric that lies in 0 … 1."""
CHANGES = {
    "65 % unchanged": (
        (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0),
        (0.03, 0.06, 0.06, 0.65, 0.08, 0.08, 0.04),
    ),
    "90 % unchanged": ((-1.0, -0.5, 0.0, 0.5, 1.0), (0.01, 0.03, 0.9, 0.04, 0.02)),
}
"""The same of differences between two versions, question by question."""
Spread = tuple[tuple[float, ...], tuple[float, ...]]


def drawn(chance: Chance, spread: Spread, n: int) -> Floats:
    return chance.choice(spread[0], n, p=spread[1])


def mean_of(spread: Spread) -> float:
    return float(np.dot(*spread))


def holds(found: Estimate, truth: float) -> bool:
    return found.low - SLACK <= truth <= found.high + SLACK


def covered(truth: float, draw: Callable[[Chance], Estimate], rounds: int = OFTEN) -> float:
    """The share of ``rounds`` samples whose interval holds ``truth``; NaN where more than MISSING
    have none."""
    chance = np.random.default_rng(7)
    found = [draw(chance) for _ in range(rounds)]
    bounded = [one for one in found if not math.isnan(one.low + one.high)]
    if len(bounded) < (1 - MISSING) * rounds:
        return math.nan
    return sum(holds(one, truth) for one in bounded) / len(bounded)


def cluster_sizes(chance: Chance, kind: str, clusters: int) -> npt.NDArray[np.int64]:
    if kind == "equal":
        return np.full(clusters, 5)
    if kind == "unequal":
        return chance.geometric(0.2, clusters)
    return np.array([3 * clusters, *[3] * (clusters - 1)])  # one holds about half


def clustered(chance: Chance, kind: str, clusters: int) -> tuple[Floats, list[int]]:
    """Values with mean 0, half of whose variance is that of their cluster."""
    owners = np.repeat(np.arange(clusters), cluster_sizes(chance, kind, clusters))
    return (
        chance.normal(0, 1, clusters)[owners] + chance.normal(0, 1, len(owners)),
        owners.tolist(),
    )


def clustered_outcomes(chance: Chance, kind: str, clusters: int) -> tuple[Floats, list[int]]:
    """Zeros and ones with mean ¼; the rate of each cluster is Beta(1, 3)."""
    owners = np.repeat(np.arange(clusters), cluster_sizes(chance, kind, clusters))
    rates = chance.beta(1, 3, clusters)[owners]
    return (chance.random(len(owners)) < rates).astype(np.float64), owners.tolist()
