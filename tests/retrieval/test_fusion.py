from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.retrieval.fusion import COSINE_BOUNDS, Span, convex, reciprocal_rank_fusion

RANKED = st.lists(st.integers(0, 30), unique=True, max_size=15)


@given(st.lists(RANKED, max_size=3), st.integers(1, 100))
def test_rrf_equals_its_definition(lists: list[list[int]], k: int) -> None:
    fused = reciprocal_rank_fusion(lists, k)
    for position, score in fused:
        ranks = [ranked.index(position) + 1 for ranked in lists if position in ranked]
        assert score == np.float32(sum(1 / (k + rank) for rank in ranks))
    assert {position for position, _ in fused} == {p for ranked in lists for p in ranked}
    assert fused == sorted(fused, key=lambda item: (-item[1], item[0]))


def test_ties_go_to_the_lower_position() -> None:
    assert [p for p, _ in reciprocal_rank_fusion([[9, 4], [4, 9]], 60)] == [4, 9]
    same = {2: 0.3, 1: 0.3}
    fused = convex(same, same, alpha=0.4, dense_span=COSINE_BOUNDS, lexical_span=Span(0, 1))
    assert [p for p, _ in fused] == [1, 2]


@pytest.mark.parametrize(("alpha", "first"), [(1.0, 1), (0.0, 2)])
def test_alpha_is_the_weight_of_the_dense_score(alpha: float, first: int) -> None:
    fused = convex(
        {1: 0.9, 2: 0.1},
        {1: 0.0, 2: 8.0},
        alpha=alpha,
        dense_span=COSINE_BOUNDS,
        lexical_span=Span(0, 20),
    )
    assert fused[0][0] == first
    assert fused[0][1] == np.float32(0.95 if alpha else 0.4)


def test_a_span_without_width_says_nothing() -> None:
    fused = convex(
        {1: 0.5, 2: 0.5},
        {1: 0.0, 2: 0.0},
        alpha=0.5,
        dense_span=Span(0, 1),
        lexical_span=Span(0, 0),
    )
    assert fused == [(1, 0.25), (2, 0.25)]


def test_a_missing_score_is_refused_not_imputed() -> None:
    with pytest.raises(ValueError, match="both scores"):
        convex({1: 0.5}, {2: 1.0}, alpha=0.5, dense_span=COSINE_BOUNDS, lexical_span=Span(0, 1))


@given(st.floats(-2, 2), st.floats(-1, 0), st.floats(0.01, 1))
def test_scaled_scores_lie_between_0_and_1(score: float, low: float, high: float) -> None:
    assert 0.0 <= Span(low, high).scale(score) <= 1.0
