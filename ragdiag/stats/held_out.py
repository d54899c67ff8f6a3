"""What a choice is worth on questions that had no say in it: cross-validation by whole groups, and
a paired comparison that knows that its folds are not independent.

Questions about one document are in one fold: else those that chose tell of those that judge. What
the folds chose rests on the same questions but for a few, and where all chose alike the held-out
mean is that of the very sample that chose. So it varies more than the paired error says: 1.2 to
1.3 times as much (docs/statistics.md), whatever the number of settings, documents and questions.
Two folds share (FOLDS − 2) / (FOLDS − 1) = 3/4 of what they chose by; by as much the squared error
is increased, which is a rule that simulation bears out and no theorem. The correction of Nadeau &
Bengio (2003, Machine Learning 52:239), 1 + FOLDS / (FOLDS − 1), is made for training sets drawn at
random; here it leaves 0 out in 1 to 2 % instead of 5, and shows fewer gains.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ragdiag.records import Estimate
from ragdiag.stats.contrasts import cluster_numbers, paired_means
from ragdiag.stats.paired import DETECTABLE, PairedComparison, clustered_t

FOLDS = 5
STRETCH = math.sqrt(1 + (FOLDS - 2) / (FOLDS - 1))
"""Of the standard error: 1.32."""


def held_out_folds(owners: Sequence[Hashable], seed: int = 0) -> list[npt.NDArray[np.bool_]]:
    """By fold, which questions it holds out, each (n,): all of one of ``owners`` are in one fold,
    which chance names. Empty with fewer than FOLDS owners: no fold could be without some.

    >>> folds = held_out_folds(["a", "b", "c", "a", "d", "e"])
    >>> sum(fold.astype(int) for fold in folds)
    array([1, 1, 1, 1, 1, 1])
    >>> all(fold[0] == fold[3] for fold in folds), held_out_folds("abcd")
    (True, [])
    """
    numbers, count = cluster_numbers(owners)
    if count < FOLDS:
        return []
    fold_of = np.random.default_rng(seed).permutation(count) % FOLDS
    return [fold_of[numbers] == fold for fold in range(FOLDS)]


def compare_held_out(
    a: Sequence[float], b: Sequence[float], owners: Sequence[Hashable]
) -> PairedComparison:
    """B's held-out values against A's, question by question: the cluster-robust t with its error
    stretched by STRETCH. Undefined, with the reason, below FOLDS owners; signs are not flipped
    (p_sign_flip is NaN), since folds share what they learnt from.

    >>> found = compare_held_out([0.0, 0.5, 0.2, 0.4, 0.1], [0.5, 1.0, 0.3, 0.7, 0.3], range(5))
    >>> round(found.difference.value, 2), round(found.difference.low, 2), round(found.p, 3)
    (0.32, 0.03, 0.039)
    >>> compare_held_out([0.0, 0.5], [0.5, 1.0], ["d", "e"]).difference.reason
    'questions about fewer than 5 documents: nothing can be held out'
    """
    clusters = len(set(owners))
    if clusters < FOLDS:
        reason = f"questions about fewer than {FOLDS} documents: nothing can be held out"
        return PairedComparison(
            n=0,
            a=math.nan,
            b=math.nan,
            difference=Estimate.undefined(reason),
            p=math.nan,
            p_sign_flip=math.nan,
            minimum_detectable=math.nan,
            clusters=clusters,
        )
    from scipy.special import stdtr

    means = paired_means(a, b, owners)
    plain = means.contrast(1.0)
    found = replace(plain, error=STRETCH * plain.error)
    return PairedComparison(
        n=means.n,
        a=means.a,
        b=means.b,
        difference=found.estimate(means.n),
        p=float(2 * stdtr(found.freedom, -abs(found.distance)))
        if found.error > 0
        else clustered_t(means),
        p_sign_flip=math.nan,
        minimum_detectable=DETECTABLE * found.error,
        clusters=clusters,
    )
