"""Two versions on the same questions (METHODS.md §10): B − A, question by question.

The paired t is the primary test, sign flips the check, BCa the interval. Holm corrects a family.
Where questions belong together (the same one asked several times, the same source document) the t
test and the interval are the cluster-robust ones of contrasts.py and whole clusters are flipped.
Where all differ by the same there is no spread to tell from and no interval; what is left to test
is that so many signs agree.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from ragdiag.records import Estimate
from ragdiag.stats.bootstrap import bca_mean
from ragdiag.stats.contrasts import PairedMeans, cluster_numbers, paired_means

DETECTABLE = 2.80
"""z(97.5 %) + z(80 %): standard errors that 80 % power needs at two-sided 5 %."""

EXACT_UP_TO = 15
DRAWS = 9_999
BLOCK = 2_000_000


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """``a`` and ``b`` are means over the ``n`` questions with both values; ``difference`` is b − a.

    ``minimum_detectable`` is the smallest true difference that n questions would have shown with
    80 % power: what "no difference" could still hide. ``clusters`` of them are independent.
    """

    n: int
    a: float
    b: float
    difference: Estimate
    p: float
    p_sign_flip: float
    minimum_detectable: float
    clusters: int


@dataclass(frozen=True, slots=True)
class McNemar:
    """Paired outcomes: right in both, in one only, in neither; and the two-sided p of ``test``.
    NaN where all questions are of one cluster."""

    both: int
    only_a: int
    only_b: int
    neither: int
    p: float
    test: Literal["exact McNemar", "cluster-robust t"] = "exact McNemar"


def compare_paired(
    a: Sequence[float],
    b: Sequence[float],
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> PairedComparison:
    """Compare two versions' values for the same questions, given in the same order.

    ``clusters`` name what belongs together, one for each question; without them every question
    stands alone. Questions undefined (NaN) in either are left out and counted in the difference's
    reason. Below two clusters the tests are NaN. Raises ValueError if the lengths differ.

    >>> result = compare_paired([0.0, 0.5, 0.2, 0.4], [0.5, 1.0, 0.3, 0.7])
    >>> result.n, round(result.difference.value, 3), round(result.p, 3), result.p_sign_flip
    (4, 0.35, 0.035, 0.125)
    """
    means = paired_means(a, b, clusters)
    owners = range(len(a)) if clusters is None else clusters
    deltas = [second - first for first, second in zip(a, b, strict=True)]
    kept = [
        (delta, owner) for delta, owner in zip(deltas, owners, strict=True) if not math.isnan(delta)
    ]
    numbers, count = cluster_numbers([owner for _, owner in kept])
    sums = np.bincount(numbers, weights=[delta for delta, _ in kept], minlength=count)
    contrast = means.contrast(1.0)
    return PairedComparison(
        n=means.n,
        a=means.a,
        b=means.b,
        difference=bca_mean(deltas, seed)
        if contrast.error != 0 and count == means.n
        else _left_out(contrast.estimate(means.n), means.left_out),
        p=clustered_t(means),
        p_sign_flip=sign_flip(sums.tolist(), seed),
        minimum_detectable=DETECTABLE * contrast.error,
        clusters=count,
    )


def _left_out(found: Estimate, count: int) -> Estimate:
    notes = [found.reason, f"{count} undefined left out" if count else None]
    return replace(found, reason="; ".join(note for note in notes if note) or None)


def clustered_t(means: PairedMeans) -> float:
    """Two-sided p of Student's t on the cluster-robust error; with a cluster for every question
    that of :func:`paired_t`. NaN below two clusters; 2^(1 − G) where G clusters have
    the same difference: t is infinite, and the chance that their signs agree is what is left.

    >>> means = paired_means([0.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.1, 0.3], clusters="uuvw")
    >>> round(clustered_t(means), 3)  # t = 0.35 / √(2 · 0.075² + 4/3 · (0.0625² + 0.0125²)) = 2.71
    0.127
    """
    from scipy.special import stdtr

    found = means.contrast(1.0)
    if math.isnan(found.error):
        return math.nan
    if found.error == 0:
        return 1.0 if found.value == 0 else 2.0 ** (1 - means.clusters)
    return float(2 * stdtr(found.freedom, -abs(found.distance)))


def planned_n(deviation: float, difference: float) -> int:
    """How many questions show a true difference with 80 % power at two-sided 5 %: (2.80 s / Δ)²,
    where s is the standard deviation of the differences.

    >>> planned_n(0.25, 0.01)
    4900
    """
    return math.ceil((DETECTABLE * deviation / difference) ** 2 - 1e-9)


def paired_t(differences: Sequence[float]) -> float:
    """Two-sided p of Student's paired t; NaN below two differences.

    Without any spread the t statistic is 0/0 (all zero: p = 1) or infinite (all equal: the chance
    that n signs agree, 2^(1 − n)).

    >>> round(paired_t([0.5, 0.5, 0.1, 0.3]), 3)  # t = 0.35 / (0.191 / 2) = 3.66
    0.035
    """
    from scipy.special import stdtr

    deltas = np.asarray(differences, dtype=np.float64)
    if len(deltas) < 2:
        return math.nan
    deviation = _standard_deviation(deltas)
    mean = float(deltas.mean())
    if deviation == 0:
        return 1.0 if mean == 0 else 2.0 ** (1 - len(deltas))
    t = mean / (deviation / math.sqrt(len(deltas)))
    return float(2 * stdtr(len(deltas) - 1, -abs(t)))


def sign_flip(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided p of the sign-flip permutation test of a zero mean difference.

    Exact over all 2^m flips of the m differences that are not zero while m ≤ 15; beyond, 9,999
    random flips and p = (b + 1) / (9,999 + 1), so that p is never 0. NaN below two differences.

    >>> sign_flip([0.5, 0.5, 0.1, 0.3])  # both flips that keep one sign, of 16
    0.125
    """
    deltas = np.asarray(differences, dtype=np.float64)
    if len(deltas) < 2:
        return math.nan
    deltas = deltas[deltas != 0]
    # Sums over the same numbers in another order differ by rounding, and must count as equal.
    bar = abs(float(deltas.sum())) - 1e-9 * float(np.abs(deltas).sum())
    if len(deltas) <= EXACT_UP_TO:
        flips = np.arange(2 ** len(deltas))[:, None] >> np.arange(len(deltas)) & 1
        return float(np.mean(_reaches(flips, deltas, bar)))
    generator = np.random.default_rng(seed)
    rows = max(1, BLOCK // len(deltas))
    reached = 0
    for start in range(0, DRAWS, rows):
        shape = (min(rows, DRAWS - start), len(deltas))
        flips = generator.integers(0, 2, size=shape, dtype=np.int8)
        reached += int(_reaches(flips, deltas, bar).sum())
    return (reached + 1) / (DRAWS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values (1979), in the given order; NaN is no test, stays NaN.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for step, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - step) * p))
        adjusted[i] = highest
    return adjusted


def mcnemar(
    a: Sequence[int | None],
    b: Sequence[int | None],
    clusters: Sequence[Hashable] | None = None,
) -> McNemar:
    """McNemar's exact test of two versions' right (1) and wrong (0) answers to the same questions.

    Pairs with an unknown (None) outcome are left out. Only the questions that one version got
    right speak: their split is Binomial(m, ½) if neither is better. p is 1 without any.

    That holds for questions that do not depend on each other. Where two pairs share one of
    ``clusters``, p is :func:`clustered_t`'s: over 10 documents with 20 questions each McNemar's is
    below .05 in 27 % where neither version is better.

    >>> mcnemar([1, 0, 0, 0, 1, None], [1, 1, 1, 1, 0, 1])  # 3 against 1: 2 · (1 + 4) / 16
    McNemar(both=1, only_a=1, only_b=3, neither=0, p=0.625, test='exact McNemar')
    """
    owners = range(len(a)) if clusters is None else clusters
    triples = zip(a, b, owners, strict=True)
    kept = [(x, y, o) for x, y, o in triples if x is not None and y is not None]
    pairs, names = [(x, y) for x, y, _ in kept], [owner for _, _, owner in kept]
    only_a, only_b = pairs.count((1, 0)), pairs.count((0, 1))
    both, neither = pairs.count((1, 1)), pairs.count((0, 0))
    if len(set(names)) < len(names):
        p = clustered_t(paired_means([x for x, _ in pairs], [y for _, y in pairs], names))
        return McNemar(both, only_a, only_b, neither, p, "cluster-robust t")
    discordant = only_a + only_b
    ways, cumulated = 1, 0
    for k in range(min(only_a, only_b) + 1):
        cumulated += ways
        ways = ways * (discordant - k) // (k + 1)
    # Whole numbers, divided once: no factorial overflows, however many the questions.
    p = min(1.0, 2 * cumulated / 2**discordant)
    return McNemar(both, only_a, only_b, neither, p)


def _standard_deviation(deltas: npt.NDArray[np.float64]) -> float:
    """With n − 1; exactly 0 where only rounding is left. NaN below two values."""
    if len(deltas) < 2:
        return math.nan
    deviation = float(deltas.std(ddof=1))
    return deviation if deviation > 1e-12 * float(np.abs(deltas).max()) else 0.0


def _reaches(
    flips: npt.NDArray[np.integer], deltas: npt.NDArray[np.float64], bar: float
) -> npt.NDArray[np.bool_]:
    """Which rows of 0/1 flips (shape (m, n)) give a sum at least as far from 0 as ``bar``."""
    return np.abs((1.0 - 2.0 * flips) @ deltas) >= bar
