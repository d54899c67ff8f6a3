"""What each path knows about one question: its candidates, and the scores that fusion asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ragdiag.retrieval.ann.index import Effort, Mask, Positions, Scores, VectorIndex, Vectors
from ragdiag.retrieval.fusion import COSINE_BOUNDS, Span
from ragdiag.retrieval.lexical import Lexical
from ragdiag.version import Spec

NOTHING: Positions = np.empty(0, np.int64)
BLOCK = 4_096
"""Vectors that are scored at once, so that no copy of all of them is made."""


@dataclass(frozen=True)
class Candidates:
    """One path's ranked candidates; ``scores`` belong to ``positions``, best first."""

    positions: Positions
    scores: Scores


class LexicalPath:
    """BM25 of every passage; the best are candidates. Passages that are not ``allowed`` score 0."""

    def __init__(
        self, lexical: Lexical, question: str, depth: int, allowed: Mask | None = None
    ) -> None:
        self._lexical, self._question = lexical, question
        scores = lexical.scores(question)
        self._all = scores if allowed is None else np.where(allowed, scores, np.float32(0))
        positions = best_positions(self._all, depth)
        self.candidates = Candidates(positions, self._all[positions])

    def scores_at(self, positions: Positions) -> Mapping[int, float]:
        return dict(zip(positions.tolist(), self._all[positions].tolist(), strict=True))

    def span(self, spec: Spec) -> Span:
        if spec.fusion.normalisation == "bounds":
            return Span(0.0, self._lexical.upper_bound(self._question))
        return Span(float(self._all.min()), float(self._all.max()))


@dataclass(frozen=True)
class DensePath:
    """The nearest passages, the scores of the other path's candidates, and the span of all."""

    candidates: Candidates
    known: Mapping[int, float]
    span: Span


def search_dense(
    ann: VectorIndex,
    vector: Vectors,
    spec: Spec,
    beside: Positions = NOTHING,
    allowed: Mask | None = None,
) -> DensePath:
    """Ask the vector index everything that fusion needs, ``beside`` being the lexical candidates.

    With ``candidates.mode = "prefilter"`` they are all that is scored, exactly; where there are
    none (a question of stop words) the index is searched after all.
    """
    depth = spec.candidates.depth
    scores = ann.scores(vector, beside) if len(beside) else np.empty(0, np.float32)
    known = dict(zip(beside.tolist(), scores.tolist(), strict=True))
    if spec.candidates.mode == "prefilter" and len(beside):
        order = np.lexsort((beside, -scores))
        candidates = Candidates(beside[order], scores[order])
    else:
        effort = Effort.of(spec.ann)
        candidates = Candidates(*ann.search(vector, depth, effort=effort, allowed=allowed))
        pairs = zip(candidates.positions.tolist(), candidates.scores.tolist(), strict=True)
        known |= dict(pairs)
    minmax = spec.fusion.kind == "convex" and spec.fusion.normalisation == "minmax"
    span = _range(ann, vector, allowed) if minmax and len(beside) else COSINE_BOUNDS
    return DensePath(candidates, known, span)


def _range(ann: VectorIndex, vector: Vectors, allowed: Mask | None) -> Span:
    """Lowest and highest score of what is ``allowed``: what somebody may not read must not move
    the scores of what they may."""
    if allowed is None:
        return Span(*ann.score_range(vector))
    positions = np.flatnonzero(allowed)
    if not len(positions):
        return COSINE_BOUNDS
    blocks = (positions[at : at + BLOCK] for at in range(0, len(positions), BLOCK))
    ranges = [(one.min(), one.max()) for one in (ann.scores(vector, block) for block in blocks)]
    lows, highs = zip(*ranges, strict=True)
    return Span(float(min(lows)), float(max(highs)))


def best_positions(scores: Scores, depth: int) -> Positions:
    """Positions of the ``depth`` highest positive scores, best first, ties by position."""
    positive = np.flatnonzero(scores > 0)
    if positive.size > depth:
        threshold = np.partition(scores[positive], -depth)[-depth]
        positive = positive[scores[positive] >= threshold]
    return positive[np.lexsort((positive, -scores[positive]))][:depth]
