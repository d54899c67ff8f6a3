"""The area under the ROC curve of scores that belong together: ten requests of one question, or
about one document, are not ten independent ones."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragdiag.records import Estimate
from ragdiag.stats.agreement import auroc, newcombe_bounds, on_logit, placements
from ragdiag.stats.contrasts import ROUNDING, Contrast, Floats, cluster_numbers
from ragdiag.stats.intervals import student_quantile


def clustered_auroc(
    scores: Sequence[float], labels: Sequence[int], owners: Sequence[Hashable]
) -> Estimate:
    """P(score of a one > score of a zero), ties half, over all pairs, with a 95 % interval that
    knows which scores belong together: those of one of ``owners``.

    Where each stands alone it is :func:`auroc`'s to the last digit, DeLong's on the logit. Else it
    is DeLong's by clusters (Obuchowski 1997, Biometrics 53:567), on the logit too. V of a one is
    the share of the zeros below it, V of a zero the share of the ones above it. Of n₁ ones and n₀
    zeros cluster g has the sums X_g = Σ (V − area) / n₁ and Y_g = Σ (V − area) / n₀. Of G clusters
    G₁ have ones and G₀ zeros:

        error² = a + b + 2 G/(G − 1) · Σ X_g Y_g
        a = G₁/(G₁ − 1) · Σ X_g²        b = G₀/(G₀ − 1) · Σ Y_g²

    The quantile is Student's t of m − 1 degrees of freedom, where m is how many equal clusters the
    ones, or the zeros, amount to (Kish: n² / Σ n_g²), whichever are fewer; Welch's mixture of both
    covers 86 to 90 % of ten to twenty clusters where the area is .95. It reaches as far as that of
    scores that stand alone, at least, and as Newcombe's of so many fewer as the squared error is
    larger: to belong together tells no more. No interval where either label has fewer than two
    clusters.

    >>> scores, labels = [0.9, 0.8, 0.3, 0.2, 0.5, 0.4], [1, 1, 0, 0, 0, 1]
    >>> clustered_auroc(scores, labels, "abcdef") == auroc(scores, labels)
    True
    >>> clustered_auroc(scores, labels, "aabbba").reason
    'no interval: one label has a single cluster'
    """
    alone = auroc(scores, labels)
    if len(set(owners)) == len(owners) or math.isnan(alone.low):
        return alone
    found, n = clustered_area(scores, labels, owners), alone.n
    if math.isnan(found.error):
        reason = "no interval: one label has a single cluster"
        return Estimate(alone.value, math.nan, math.nan, n, reason)
    if found.error <= ROUNDING:
        return Estimate(alone.value, math.nan, math.nan, n, "no spread, so no interval")
    low, high = on_logit(found.value, student_quantile(found.freedom) * found.error)
    effect = max((found.error / clustered_area(scores, labels, range(n)).error) ** 2, 1.0)
    ones = sum(label == 1 for label in labels)
    score = newcombe_bounds(found.value, ones / effect, (n - ones) / effect)
    return Estimate(alone.value, min(low, alone.low, score[0]), max(high, alone.high, score[1]), n)


def clustered_area(
    scores: Sequence[float], labels: Sequence[int], owners: Sequence[Hashable]
) -> Contrast:
    """The area with Obuchowski's error, as :func:`clustered_auroc` has it, and m − 1; both NaN
    where a label has fewer than two clusters. Raises ValueError where one label is all there is.

    >>> found = clustered_area([0.9, 0.8, 0.3, 0.4], [1, 0, 0, 1], "abcd")
    >>> found.value, round(found.error, 4), found.freedom
    (0.75, 0.3536, 1.0)
    """
    numbers, count = cluster_numbers(owners)
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels) == 1
    if truth.all() or not truth.any():
        raise ValueError("an area takes both labels")
    upper, lower = ((one, np.ones(len(one))) for one in (values[truth], values[~truth]))
    beats, beaten = placements(upper, lower), placements(lower, upper)
    area = float(beats.mean())
    ones = _Side.of(beats - area, numbers[truth], count)
    zeros = _Side.of(1 - beaten - area, numbers[~truth], count)
    if min(ones.clusters, zeros.clusters) < 2:
        return Contrast(area, math.nan, math.nan)
    together = 2 * count / (count - 1) * float(ones.sums @ zeros.sums)
    error = math.sqrt(max(ones.variance + zeros.variance + together, 0.0))
    return Contrast(area, error, min(ones.freedom, zeros.freedom))


@dataclass(frozen=True, slots=True)
class _Side:
    """The ones, or the zeros: by cluster Σ (V − area) / n, shape (clusters of both,), and how many
    there are of them."""

    sums: Floats
    sizes: Floats

    @classmethod
    def of(cls, deviations: Floats, numbers: npt.NDArray[np.intp], count: int) -> _Side:
        sums = np.bincount(numbers, deviations, count) / max(len(deviations), 1)
        return cls(sums, np.bincount(numbers, minlength=count).astype(np.float64))

    @property
    def clusters(self) -> int:
        return int(np.count_nonzero(self.sizes))

    @property
    def variance(self) -> float:
        return self.clusters / (self.clusters - 1) * float(self.sums @ self.sums)

    @property
    def freedom(self) -> float:
        return float(self.sizes.sum() ** 2 / (self.sizes @ self.sizes)) - 1
