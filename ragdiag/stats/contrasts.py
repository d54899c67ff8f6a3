"""mean(B) − w · mean(A) of two versions, with an error that knows which values belong together.

A question asked five times is not five questions, and one user's requests are not as many users:
values that share a cluster may depend on each other in any way, clusters are independent. The
variance is the cluster-robust CR2, on the degrees of freedom of Bell & McCaffrey (2002; Imbens &
Kolesár 2016): with the share s = n_g / n of each cluster's values and its Σ d of (x − mean) / n,

    error² = Σ d² / (1 − s)        1 / freedom = Σ s² + (Σ q)² − Σ q²,    q = s² / (1 − s)

With G clusters of one size these are CR1 (Liang & Zeger 1986, with the factor G/(G − 1)) and G − 1,
and with one value a cluster the textbook s²/n on n − 1. Where one cluster of ten holds half of
the values, CR1 on G − 1 covers 80 to 91 %, this 92 to 98 %.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ragdiag.records import Estimate
from ragdiag.stats.intervals import student_quantile

Floats = npt.NDArray[np.float64]

_ALONE = object()
"""A cluster that nobody else is in."""

ROUNDING = 1e-12
"""Of the values' own size: a spread below it is what adding up has left."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """An estimated ``value`` with its standard error and degrees of freedom; its bounds are
    Student's t. Without an error (below two clusters) the bounds are NaN.

    Where G clusters agree to the last digit (error 0) their spread tells nothing, and what is left
    is that their signs agree, by chance once in 2^G: a bound is the value itself where that is
    rare enough for the confidence asked for (six clusters for 97.5 %), and else NaN.

    >>> contrast = Contrast(0.02, 0.01, freedom=99)
    >>> round(contrast.lower(0.95), 4), round(contrast.upper(0.975), 4)
    (0.0034, 0.0398)
    """

    value: float
    error: float
    freedom: float

    @property
    def distance(self) -> float:
        """From 0, in standard errors; infinite where a value has no error."""
        if self.error == 0:
            return math.copysign(math.inf, self.value) if self.value else 0.0
        return self.value / self.error

    def lower(self, confidence: float) -> float:
        """One-sided: the truth is above it in this share of samples."""
        return self.value - self._reach(confidence)

    def upper(self, confidence: float) -> float:
        return self.value + self._reach(confidence)

    def estimate(self, n: int) -> Estimate:
        """With its two-sided 95 % interval; a value that all clusters agree on to the last digit
        has none, since without a spread nothing tells how far it may be off."""
        if math.isnan(self.value):
            return Estimate.undefined("no values", n=n)
        if self.error == 0:
            return Estimate(self.value, math.nan, math.nan, n, "no spread, so no interval")
        reason = "below two clusters there is no interval" if math.isnan(self.error) else None
        return Estimate(self.value, self.lower(0.975), self.upper(0.975), n, reason)

    def _reach(self, confidence: float) -> float:
        if math.isnan(self.error):
            return math.nan
        if self.error == 0:
            return 0.0 if 2 ** -(self.freedom + 1) <= 1 - confidence else math.nan
        return self.error * student_quantile(self.freedom, confidence)


@dataclass(frozen=True, slots=True)
class PairedMeans:
    """Means ``a`` and ``b`` over the same ``n`` questions, and by cluster its share of them and the
    sum of each side's deviations from its mean, divided by n: shape (clusters,). ``size`` is the
    largest value on either side, without its sign."""

    n: int
    a: float
    b: float
    shares: Floats
    deviations_a: Floats
    deviations_b: Floats
    size: float
    left_out: int

    @property
    def clusters(self) -> int:
        return len(self.deviations_a)

    def with_loss(self) -> PairedMeans:
        """With one question more, a cluster of its own, on which A does as on average and B gets
        nothing."""
        n, b = self.n + 1, self.b * self.n / (self.n + 1)
        moved = self.deviations_b + self.shares * (self.b - b)
        return PairedMeans(
            n=n,
            a=self.a,
            b=b,
            shares=np.append(self.shares * self.n, 1.0) / n,
            deviations_a=np.append(self.deviations_a * self.n, 0.0) / n,
            deviations_b=np.append(moved * self.n, -b) / n,
            size=self.size,
            left_out=self.left_out,
        )

    def contrast(self, weight: float) -> Contrast:
        """mean(B − weight · A).

        Rounding is told by the values' size and not by the deviations': where all clusters have one
        mean these are nothing but rounding themselves.
        """
        deviations = self.deviations_b - weight * self.deviations_a
        return Contrast(
            self.b - weight * self.a,
            _error(deviations, self.shares, ROUNDING * self.size),
            _freedom(self.shares),
        )


@dataclass(frozen=True, slots=True)
class IndependentMeans:
    """Means of two samples that share no cluster; ``n`` counts B's values, the candidate's.
    ``less`` is B's mean with one value more, a cluster of its own, that is 0."""

    n_a: int
    n: int
    a: float
    b: float
    error_a: float
    error_b: float
    freedom_a: float
    freedom_b: float
    clusters_a: int
    clusters_b: int
    less: Contrast
    left_out: int

    def with_loss(self) -> IndependentMeans:
        """With one value more of B, that is 0."""
        return replace(
            self,
            n=self.n + 1,
            b=self.less.value,
            error_b=self.less.error,
            freedom_b=self.less.freedom,
            clusters_b=self.clusters_b + 1,
        )

    @property
    def clusters(self) -> int:
        """Of the side that has fewer."""
        return min(self.clusters_a, self.clusters_b)

    def contrast(self, weight: float) -> Contrast:
        """mean(B) − weight · mean(A), on the degrees of freedom of Welch (1947)."""
        part_a, part_b = (weight * self.error_a) ** 2, self.error_b**2
        error = math.sqrt(part_a + part_b)
        if math.isnan(error) or error == 0:
            return Contrast(self.b - weight * self.a, error, max(1, self.clusters - 1))
        spread = part_a**2 / self.freedom_a + part_b**2 / self.freedom_b
        return Contrast(self.b - weight * self.a, error, (part_a + part_b) ** 2 / spread)


Means = PairedMeans | IndependentMeans


def paired_means(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable] | None = None
) -> PairedMeans:
    """Two versions' values for the same questions, given in the same order.

    ``clusters`` name what belongs together, one for each question; without them every question
    stands alone. Pairs undefined (NaN) on either side are left out and counted. Raises ValueError
    if the lengths differ.

    >>> means = paired_means([0.0, 1.0, 0.5], [0.5, 1.0, 1.0])
    >>> contrast = means.contrast(1.0)
    >>> round(contrast.value, 4), round(contrast.error, 4), round(contrast.freedom, 2)
    (0.3333, 0.1667, 2.0)
    """
    owners = range(len(a)) if clusters is None else clusters
    triples = zip(a, b, owners, strict=True)
    kept = [(x, y, owner) for x, y, owner in triples if not (math.isnan(x) or math.isnan(y))]
    first, second = (np.array([row[side] for row in kept], dtype=np.float64) for side in (0, 1))
    names = [owner for _, _, owner in kept]
    return PairedMeans(
        n=len(kept),
        a=_mean(first),
        b=_mean(second),
        shares=_shares(names),
        deviations_a=_deviations(first, names),
        deviations_b=_deviations(second, names),
        size=max(float(np.abs(side).max(initial=0.0)) for side in (first, second)),
        left_out=len(a) - len(kept),
    )


def independent_means(
    a: Sequence[float],
    b: Sequence[float],
    clusters_a: Sequence[Hashable] | None = None,
    clusters_b: Sequence[Hashable] | None = None,
) -> IndependentMeans:
    """As :func:`paired_means` for two versions that answered different requests.

    >>> means = independent_means([0.0, 1.0], [1.0, 1.0, 0.0, 1.0], clusters_b="uuvw")
    >>> means.contrast(1.0).value, means.clusters_b
    (0.25, 3)
    """
    first, names_a = defined(a, clusters_a)
    second, names_b = defined(b, clusters_b)
    by_a, by_b = clustered_mean(first, names_a), clustered_mean(second, names_b)
    return IndependentMeans(
        n_a=len(first),
        n=len(second),
        a=by_a.value,
        b=by_b.value,
        error_a=by_a.error,
        error_b=by_b.error,
        freedom_a=by_a.freedom,
        freedom_b=by_b.freedom,
        clusters_a=len(set(names_a)),
        clusters_b=len(set(names_b)),
        less=clustered_mean(np.append(second, 0.0), [*names_b, _ALONE]),
        left_out=len(a) + len(b) - len(first) - len(second),
    )


def clustered_mean(values: Sequence[float] | Floats, clusters: Sequence[Hashable]) -> Contrast:
    """One mean, of values that are all defined, with its error and degrees of freedom by clusters;
    the error is NaN below two.

    >>> found = clustered_mean([0.0, 1.0, 1.0, 1.0], "uvww")
    >>> round(found.value, 2), round(found.error, 4), round(found.freedom, 2)
    (0.75, 0.2887, 1.8)
    """
    sample = np.asarray(values, dtype=np.float64)
    shares = _shares(clusters)
    rounding = ROUNDING * float(np.abs(sample).max(initial=0.0))
    error = _error(_deviations(sample, clusters), shares, rounding)
    return Contrast(_mean(sample), error, _freedom(shares))


def mean_of_clusters(sums: Floats, sizes: Floats) -> Contrast:
    """As :func:`clustered_mean`, from each cluster's sum and size, which need not be whole.

    >>> found = mean_of_clusters(np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]))
    >>> round(found.value, 2), round(found.error, 4), round(found.freedom, 2)
    (0.75, 0.2887, 1.8)
    """
    n = float(sizes.sum())
    mean = float(sums.sum()) / n
    shares = sizes / n
    rounding = ROUNDING * float(np.abs(sums / sizes).max())
    return Contrast(mean, _error(sums / n - mean * shares, shares, rounding), _freedom(shares))


def defined(
    values: Sequence[float], clusters: Sequence[Hashable] | None
) -> tuple[Floats, list[Hashable]]:
    """The values that are not NaN, and their clusters; each its own where none are named."""
    owners = range(len(values)) if clusters is None else clusters
    kept = [(x, owner) for x, owner in zip(values, owners, strict=True) if not math.isnan(x)]
    return np.array([x for x, _ in kept], dtype=np.float64), [owner for _, owner in kept]


def cluster_numbers(names: Sequence[Hashable]) -> tuple[npt.NDArray[np.intp], int]:
    """Each value's cluster as a number from 0, in order of appearance, and how many there are.

    >>> cluster_numbers(["u", "v", "u"])
    (array([0, 1, 0]), 2)
    """
    known: dict[Hashable, int] = {}
    numbers = [known.setdefault(name, len(known)) for name in names]
    return np.array(numbers, dtype=np.intp), len(known)


def _mean(values: Floats) -> float:
    return math.fsum(values) / len(values) if len(values) else math.nan


def _deviations(values: Floats, names: Sequence[Hashable]) -> Floats:
    """By cluster, Σ (x − mean) / n."""
    numbers, count = cluster_numbers(names)
    if not count:
        return np.zeros(0)
    deviations = (values - _mean(values)) / len(values)
    return np.bincount(numbers, weights=deviations, minlength=count).astype(np.float64)


def _shares(names: Sequence[Hashable]) -> Floats:
    """By cluster, the share of all values that it holds."""
    numbers, count = cluster_numbers(names)
    return np.bincount(numbers, minlength=count) / max(len(numbers), 1)


def _error(deviations: Floats, shares: Floats, rounding: float) -> float:
    """√Σ d² / (1 − s) over clusters; NaN below two, 0 where only rounding is left."""
    if len(deviations) < 2:
        return math.nan
    if float(np.abs(deviations).max()) <= rounding:
        return 0.0
    return math.sqrt(float(np.sum(deviations**2 / (1 - shares))))


def _freedom(shares: Floats) -> float:
    """1 / (Σ s² + (Σ q)² − Σ q²) with q = s² / (1 − s): at least 1, and G − 1 at most; NaN below
    two clusters."""
    if len(shares) < 2:
        return math.nan
    parts = shares**2 / (1 - shares)
    spread = np.sum(shares**2) + np.sum(parts) ** 2 - np.sum(parts**2)
    return float(1 / spread)
