"""How often the intervals of the product hold the truth, over a stated grid: at least 94.5 % on
average and 91 % in every cell.

Where outcomes can be listed the coverage is computed; elsewhere it is that of ROUNDS samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scipy.stats import binom, norm

from ragdiag.metrics.latency import quantile_estimate
from ragdiag.records import Estimate, Weighed
from ragdiag.stats.agreement import auroc, cohen_kappa
from ragdiag.stats.cluster_bootstrap import cluster_mean
from ragdiag.stats.intervals import (
    Sums,
    bca_mean,
    difference_of_means,
    difference_of_rates,
    mean_estimate,
    wilson,
)
from ragdiag.stats.weighted import weighted_rate

ROUNDS = 400
RATES = (0.05, 0.1, 0.3, 0.5, 0.8)
LEAST, MEAN = 0.91, 0.945

Draw = Callable[[np.random.Generator], Estimate]


def holds(found: Estimate, truth: float) -> bool:
    return found.low - 1e-12 <= truth <= found.high + 1e-12


def drawn(truth: float, draw: Draw) -> float:
    chance = np.random.default_rng(7)
    found = [draw(chance) for _ in range(ROUNDS)]
    bounded = [one for one in found if not math.isnan(one.low)]
    assert len(bounded) > 0.99 * ROUNDS
    return sum(holds(one, truth) for one in bounded) / len(bounded)


def of_rates() -> Iterator[tuple[str, float]]:
    for n in (20, 100, 1000):
        for p in RATES:
            right = [k for k in range(n + 1) if holds(wilson(k, n), p)]
            yield f"wilson p={p} n={n}", float(binom.pmf(right, n, p).sum())


def of_differences() -> Iterator[tuple[str, float]]:
    for n, m in ((30, 30), (60, 25)):
        for p, q in ((0.1, 0.1), (0.3, 0.5), (0.8, 0.6)):
            rows, columns = (binom.pmf(range(k + 1), k, one) for k, one in ((n, p), (m, q)))
            both = [
                (a, b)
                for a in range(n + 1)
                for b in range(m + 1)
                if holds(difference_of_rates(a, n, b, m), q - p)
            ]
            share = sum(rows[a] * columns[b] for a, b in both)
            yield f"newcombe {p} {q} n={n},{m}", float(share)


def reciprocal_ranks(chance: np.random.Generator, n: int) -> np.ndarray:
    """As a retriever's: a first hit half of the time, nothing found one time in six."""
    return chance.choice([1.0, 0.5, 1 / 3, 0.25, 0.1, 0.0], n, p=[0.5, 0.15, 0.1, 0.05, 0.03, 0.17])


RANKS_MEAN = float(np.dot([1.0, 0.5, 1 / 3, 0.25, 0.1], [0.5, 0.15, 0.1, 0.05, 0.03]))


def of_means() -> Iterator[tuple[str, float]]:
    for n in (30, 100, 300):
        yield (
            f"bca reciprocal rank n={n}",
            drawn(RANKS_MEAN, lambda c, n=n: bca_mean(reciprocal_ranks(c, n).tolist())),
        )
        yield (
            f"t reciprocal rank n={n}",
            drawn(
                RANKS_MEAN,
                lambda c, n=n: mean_estimate(Sums.of(reciprocal_ranks(c, n).tolist())),
            ),
        )
        yield (
            f"welch n={n}",
            drawn(
                0.5,
                lambda c, n=n: difference_of_means(
                    Sums.of(c.normal(0, 1, n).tolist()), Sums.of(c.normal(0.5, 2, 2 * n).tolist())
                ),
            ),
        )
    yield "bca exponential n=100", drawn(1.0, lambda c: bca_mean(c.exponential(1, 100).tolist()))


def of_quantiles() -> Iterator[tuple[str, float]]:
    for q, n in ((0.5, 30), (0.5, 300), (0.95, 100), (0.95, 1000), (0.99, 1000)):
        truth = float(np.exp(norm.ppf(q)))
        yield (
            f"p{100 * q:g} n={n}",
            drawn(truth, lambda c, q=q, n=n: quantile_estimate(c.lognormal(0, 1, n).tolist(), q)),
        )


def of_clusters() -> Iterator[tuple[str, float]]:
    def draw(chance: np.random.Generator, clusters: int) -> Estimate:
        own = np.repeat(chance.normal(0, 1, clusters), 4)
        values = own + chance.normal(0, 1, 4 * clusters)
        return cluster_mean(values.tolist(), np.repeat(np.arange(clusters), 4).tolist())

    for clusters in (30, 100):
        yield f"cluster mean G={clusters}", drawn(0.0, lambda c, g=clusters: draw(c, g))


def of_samples() -> Iterator[tuple[str, float]]:
    """Every failure is logged, and one in four of the rest."""

    def draw(chance: np.random.Generator, p: float, n: int) -> Estimate:
        failed = int(chance.binomial(n, p))
        others = int(chance.binomial(n - failed, 0.25))
        kept = Weighed.of(failed)
        return weighted_rate(kept, kept + Weighed(others, 4.0 * others, 16.0 * others))

    for p in (0.1, 0.3):
        yield f"weighted rate p={p}", drawn(p, lambda c, p=p: draw(c, p, 800))


def of_agreement() -> Iterator[tuple[str, float]]:
    def raters(chance: np.random.Generator, n: int) -> Estimate:
        y = chance.integers(0, 2, n)
        return cohen_kappa(np.where(chance.random(n) < 0.8, y, 1 - y).tolist(), y.tolist())

    def scores(chance: np.random.Generator, n: int) -> Estimate:
        values = [*chance.normal(1, 1, n), *chance.normal(0, 1, n)]
        return auroc(values, [1] * n + [0] * n)

    for n in (50, 200):
        yield f"kappa n={n}", drawn(0.6, lambda c, n=n: raters(c, n))
        yield f"auroc n={2 * n}", drawn(float(norm.cdf(2**-0.5)), lambda c, n=n: scores(c, n))


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    grid = dict(
        cell
        for cells in (
            of_rates,
            of_differences,
            of_means,
            of_quantiles,
            of_clusters,
            of_samples,
            of_agreement,
        )
        for cell in cells()
    )
    assert {name: share for name, share in grid.items() if share < LEAST} == {}
    assert float(np.mean(list(grid.values()))) >= MEAN
