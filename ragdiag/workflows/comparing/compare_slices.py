"""Two versions by kind of question, and Holm's correction over everything that is shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ragdiag.metrics.question_slices import SliceKind, Slices, in_order
from ragdiag.records import Estimate
from ragdiag.stats.contrasts import paired_means
from ragdiag.stats.paired import DETECTABLE, PairedComparison, clustered_t, holm

LEAST_QUESTIONS = 10
"""In a slice, for a test: below, each difference is shown and none is judged."""
LEAST_INDEPENDENT = 5
"""Independent questions in a slice (documents, where several are about one) for an interval or a
test. Two or three clusters agree by chance too often, and then have next to no spread: a family of
twelve documents in six topics found a difference between equal versions in 31 % of draws."""


class Pair(Protocol):
    """One question with both versions' metrics by name."""

    @property
    def question_id(self) -> str: ...
    @property
    def cluster(self) -> str: ...
    @property
    def a(self) -> Mapping[str, float]: ...
    @property
    def b(self) -> Mapping[str, float]: ...


@dataclass(frozen=True, slots=True)
class SliceChange:
    """B − A of one metric in one slice, with its cluster-robust t interval and p; p is NaN
    where the slice has too few questions for a test, and so are the bounds and the least detectable
    difference where too few of them are independent."""

    a: float
    b: float
    difference: Estimate
    p: float
    p_holm: float
    minimum_detectable: float


@dataclass(frozen=True, slots=True)
class SliceComparison:
    """``n`` questions, of which ``clusters`` are independent."""

    kind: SliceKind
    name: str
    n: int
    clusters: int
    metrics: Mapping[str, SliceChange]

    @property
    def tested(self) -> bool:
        """Whether it has questions enough for a test."""
        return self.n >= LEAST_QUESTIONS and self.clusters >= LEAST_INDEPENDENT


def compare_slices(
    pairs: Sequence[Pair], slices: Slices, metrics: Sequence[str]
) -> list[SliceComparison]:
    """Every slice of every kind that divides these questions, not yet corrected."""
    compared = []
    for kind, slice_of in slices.items():
        held: dict[str, list[Pair]] = {}
        for pair in pairs:
            if pair.question_id in slice_of:
                held.setdefault(slice_of[pair.question_id], []).append(pair)
        if len(held) > 1:
            compared += [
                SliceComparison(
                    kind,
                    name,
                    len(held[name]),
                    len({pair.cluster for pair in held[name]}),
                    {metric: _change(held[name], metric) for metric in metrics},
                )
                for name in in_order(kind, held)
            ]
    return compared


def correct_family(
    metrics: Mapping[str, PairedComparison], slices: Sequence[SliceComparison]
) -> tuple[dict[str, float], tuple[SliceComparison, ...], int]:
    """Holm's p of every metric over all questions, the slices with theirs, and the family's size:
    how many tests there are in both together."""
    places = [(n, name) for n, one in enumerate(slices) for name in one.metrics]
    overall = [found.p for found in metrics.values()]
    sliced = [slices[n].metrics[name].p for n, name in places]
    corrected = holm([*overall, *sliced])
    p_of = dict(zip(places, corrected[len(overall) :], strict=True))
    told = tuple(
        replace(
            one,
            metrics={
                name: replace(found, p_holm=p_of[n, name]) for name, found in one.metrics.items()
            },
        )
        for n, one in enumerate(slices)
    )
    family = sum(not math.isnan(p) for p in [*overall, *sliced])
    return dict(zip(metrics, corrected, strict=False)), told, family


def _change(pairs: Sequence[Pair], metric: str) -> SliceChange:
    means = paired_means(
        [pair.a[metric] for pair in pairs],
        [pair.b[metric] for pair in pairs],
        [pair.cluster for pair in pairs],
    )
    contrast = means.contrast(1.0)
    difference = contrast.estimate(means.n)
    enough = means.clusters >= LEAST_INDEPENDENT
    if means.n and not enough:
        reason = f"fewer than {LEAST_INDEPENDENT} independent questions: no interval"
        difference = Estimate(difference.value, math.nan, math.nan, means.n, reason)
    return SliceChange(
        a=means.a,
        b=means.b,
        difference=difference,
        p=clustered_t(means) if enough and means.n >= LEAST_QUESTIONS else math.nan,
        p_holm=math.nan,
        minimum_detectable=DETECTABLE * contrast.error if enough else math.nan,
    )
