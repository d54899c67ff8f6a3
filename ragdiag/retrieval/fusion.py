"""Two ranked lists made one. Pure: positions and scores in, (position, score) out.

Ties go to the lower position. Scores are rounded to float32, as trec_eval reads them, so that a
written run keeps its order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

Fused = list[tuple[int, float]]


class Span(NamedTuple):
    """The scores that become 0 and 1."""

    low: float
    high: float

    def scale(self, score: float) -> float:
        """``score`` as a share of the span, in [0, 1]; 0 where the span is empty, since a score
        that all passages share tells nothing.

        >>> Span(-1.0, 1.0).scale(0.5), Span(2.0, 2.0).scale(2.0)
        (0.75, 0.0)
        """
        if self.high <= self.low:
            return 0.0
        return min(max((score - self.low) / (self.high - self.low), 0.0), 1.0)


COSINE_BOUNDS = Span(-1.0, 1.0)


def reciprocal_rank_fusion(lists: Sequence[Sequence[int]], k: int) -> Fused:
    """Score Σ 1/(k + rank) over the lists that hold a position (Cormack et al. 2009).

    >>> [position for position, _ in reciprocal_rank_fusion([[7, 3], [3, 5]], k=60)]
    [3, 7, 5]
    """
    scores: dict[int, float] = {}
    for ranked in lists:
        for rank, position in enumerate(ranked, start=1):
            scores[position] = scores.get(position, 0.0) + 1.0 / (k + rank)
    return _ranked(scores)


def convex(
    dense: Mapping[int, float],
    lexical: Mapping[int, float],
    *,
    alpha: float,
    dense_span: Span,
    lexical_span: Span,
) -> Fused:
    """Score α·dense + (1 − α)·lexical, each scaled to its span (Bruch, Gai & Ingber 2023).

    Both mappings hold the same positions: the score that one path did not find is computed, never
    imputed. What the spans are is the caller's choice:

    - bounds: cosine in [−1, 1]; BM25 in [0, its theoretical maximum for the question] (Bruch et
      al. take the theoretical minimum only, and the highest score found). A passage's fused
      score then does not depend on how the other passages score. The BM25 bound is loose (every
      word of the question, endlessly repeated), so lexical scores seldom pass ½.
    - minmax: lowest and highest score over every passage that may be found, for this question.

    >>> spans = {"dense_span": COSINE_BOUNDS, "lexical_span": Span(0.0, 10.0)}
    >>> convex({1: 0.5, 2: 0.5}, {1: 5.0, 2: 0.0}, alpha=0.5, **spans)
    [(1, 0.625), (2, 0.375)]
    """
    if dense.keys() != lexical.keys():
        raise ValueError("convex fusion needs both scores of every position")
    return _ranked(
        {
            position: alpha * dense_span.scale(dense[position])
            + (1.0 - alpha) * lexical_span.scale(lexical[position])
            for position in dense
        }
    )


def _ranked(scores: Mapping[int, float]) -> Fused:
    rounded = {position: float(np.float32(score)) for position, score in scores.items()}
    return sorted(rounded.items(), key=lambda item: (-item[1], item[0]))
