"""A rate, or a mean in 0 … 1, of answers that belong together: ten questions about one document are
not ten independent ones."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from ragdiag.records import Estimate
from ragdiag.stats.bootstrap import bounded_mean
from ragdiag.stats.cluster_bootstrap import bounded_cluster_mean
from ragdiag.stats.contrasts import Floats, cluster_numbers, defined, mean_of_clusters
from ragdiag.stats.intervals import Z95, score_interval, student_quantile, wilson

HALF = 0.5
"""Of a cluster of mean size, which is added at either end, as Jeffreys adds half a success and half
a failure: it stands for the clusters with the rarer outcome that were not drawn."""


def clustered_rate(values: Sequence[float], owners: Sequence[Hashable]) -> Estimate:
    """The share of ones among ``values`` that are 0 or 1 (NaN is left out), with a 95 % interval
    that knows which belong together: those of one of ``owners``.

    Where each stands alone it is :func:`wilson`'s to the last digit. Else it is Wilson's of n*
    trials (Korn & Graubard 1998, Survey Methodology 24:193), with t for few clusters:

        n* = n / deff · (z / t(f))²,    at most n;    deff = error² / (p(1 − p) / n), at least 1

    where error² is the cluster-robust CR2 of contrasts.py and f its degrees of freedom. deff is
    taken with half a cluster of mean size more at either end: a rare outcome that only two clusters
    have says too little of how clusters differ, and by itself covers 84 % at the worst, so 92 %
    (docs/statistics.md). Where all values are the same n* is the number of clusters. The value is
    the plain share. One cluster has no interval.

    >>> clustered_rate([1.0, 1.0, 0.0, 1.0], "abcd") == wilson(3, 4)
    True
    >>> found = clustered_rate([1.0] * 8 + [0.0] * 2 + [1.0] * 5 + [0.0] * 5, [0] * 10 + [1] * 10)
    >>> found.value, round(found.low, 2), round(found.high, 2)
    (0.65, 0.02, 1.0)
    >>> clustered_rate([1.0, 0.0], ["a", "a"]).reason
    'all belong together: no interval'
    """
    kept, names = defined(values, owners)
    numbers, count = cluster_numbers(names)
    n, successes = len(kept), int(kept.sum())
    if count == n:
        return wilson(successes, n)
    rate = successes / n
    if count < 2:
        return Estimate(rate, math.nan, math.nan, n, "all belong together: no interval")
    if rate in (0.0, 1.0):
        return Estimate(rate, *score_interval(rate, count), n)
    sizes = np.bincount(numbers).astype(np.float64)
    sums = np.bincount(numbers, kept).astype(np.float64)
    return Estimate(rate, *score_interval(rate, _trials(sums, sizes)), n)


def clustered_score(values: Sequence[float], owners: Sequence[Hashable]) -> Estimate:
    """The mean of ``values`` in 0 … 1, as :func:`bounded_mean` where each stands alone and else as
    :func:`bounded_cluster_mean`; NaN is left out and counted in the reason.

    >>> clustered_score([0.0, 0.5, 1.0], "abc") == bounded_mean([0.0, 0.5, 1.0], 0, 1)
    True
    >>> clustered_score([0.0, 0.5, 1.0, math.nan], "aabb").reason
    '1 undefined left out'
    """
    kept, names = defined(values, owners)
    if len(set(names)) == len(kept):
        return bounded_mean(values, 0, 1)
    found = bounded_cluster_mean(kept.tolist(), names, 0, 1)
    dropped = len(values) - len(kept)
    notes = [found.reason, f"{dropped} undefined left out" if dropped else None]
    return replace(found, reason="; ".join(note for note in notes if note) or None)


def _trials(sums: Floats, sizes: Floats) -> float:
    """n* of clusters with ``sums`` successes among ``sizes`` values."""
    n, added = float(sizes.sum()), HALF * float(sizes.mean())
    wide = mean_of_clusters(np.append(sums, [0.0, added]), np.append(sizes, [added, added]))
    alone = wide.value * (1 - wide.value) / (n + 2 * added)
    quantile = student_quantile(mean_of_clusters(sums, sizes).freedom)
    return n * min(1.0, alone / wide.error**2) * (Z95 / quantile) ** 2
