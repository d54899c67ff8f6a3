"""What a comparison lets the reader conclude."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ragdiag.stats.paired import compare_paired, mcnemar
from ragdiag.ui import versus
from ragdiag.workflows.comparing.compare import Comparison, MetricComparison
from tests.answered import NEW, OLD


def compared(a: Sequence[float], b: Sequence[float], clusters: Sequence[str]) -> Comparison:
    """Of one metric, whose answers nobody graded."""
    nobody = [float("nan")] * len(a)
    metrics = {
        "MRR@10": MetricComparison(compare_paired(a, b, clusters=clusters), 1.0),
        "correct": MetricComparison(compare_paired(nobody, nobody, clusters=clusters), 1.0),
    }
    return Comparison(OLD, NEW, "test", (), metrics, {}, (), mcnemar([], []), 2, 0, 1)


@pytest.mark.parametrize(
    ("b", "clusters", "says"),
    [
        ([0.5] * 4, "abcd", "Every question came out the same."),
        ([0.6] * 4, "aabb", "too few independent questions"),
        ([1.0, 0.1, 0.5, 0.6], "aaaa", "too few independent questions"),
        ([0.5, 0.5, 0.5, 0.6], "abcd", "would probably have shown"),
    ],
)
def test_what_no_difference_may_hide(b: list[float], clusters: str, says: str) -> None:
    text, mood = versus.sentence(compared([0.5] * 4, b, list(clusters)))
    assert mood == "same"
    assert says in text


@pytest.mark.parametrize(
    ("b", "clusters", "says"),
    [
        ([0.5] * 4, "abcd", "– (all the same)"),
        ([1.0] * 4, "abcd", "– (all moved alike)"),
        ([1.0] * 4, "aaaa", "–"),
    ],
)
def test_without_spread_there_is_no_least_difference(
    b: list[float], clusters: str, says: str
) -> None:
    table = versus.table(compared([0.5] * 4, b, list(clusters)))
    assert table["Detectable"] == [says, "–"]
