"""A question through both paths and their fusion; every list and its time is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ragdiag.errors import InputError, ModelError
from ragdiag.records import Hit, Retrieval
from ragdiag.retrieval.ann.index import Effort, Positions, Scores, VectorIndex, Vectors
from ragdiag.retrieval.builds import Index
from ragdiag.retrieval.embed import Encoder, load_embedder
from ragdiag.retrieval.fusion import COSINE_BOUNDS, Fused, Span, convex, reciprocal_rank_fusion
from ragdiag.retrieval.lexical import Lexical
from ragdiag.timing import timed
from ragdiag.version import Spec


class HybridRetriever:
    """Candidates of both paths, fused; with one path, that path's list.

    An index orders its passages by descending id, so "ties by position" is trec_eval's rule,
    "ties by passage id, descending", in every list.
    """

    def __init__(self, index: Index, spec: Spec, encoder: Encoder | None = None) -> None:
        """Loads the spec's embedder unless an ``encoder`` is given. Raises ModelError."""
        self._index, self._spec = index, spec
        self._encoder = encoder
        if encoder is None and spec.embedder is not None:
            self._encoder = load_embedder(spec.embedder)

    def retrieve(self, question: str) -> Retrieval:
        """Ranked lists of at most ``candidates.depth`` hits, each with milliseconds spent.

        A passage that shares no word with the question is no lexical candidate. Raises
        InputError on an empty question.
        """
        if not question.strip():
            raise InputError("the question is empty", remedy="ask something")
        latency: dict[str, float] = {}
        lexical = self._lexical(self._index.lexical, question, latency)
        dense = self._dense(self._index.ann, self._encoder, question, latency)
        if lexical is None or dense is None:
            only = lexical or dense
            fused = () if only is None else self._hits(only.positions, only.scores)
        else:
            with timed(latency, "fusion"):
                ranked = self._fuse(lexical, dense)[: self._spec.candidates.depth]
                fused = tuple(Hit(self._index.passage_ids[at], score) for at, score in ranked)
        return Retrieval(
            fused=fused,
            lexical=None if lexical is None else self._hits(lexical.positions, lexical.scores),
            dense=None if dense is None else self._hits(dense.positions, dense.scores),
            latency_ms=latency,
            searched_depth=self._spec.candidates.depth,
        )

    def _lexical(
        self, lexical: Lexical | None, question: str, latency: dict[str, float]
    ) -> _LexicalPath | None:
        if lexical is None:
            return None
        with timed(latency, "lexical"):
            return _LexicalPath(lexical, question, self._spec.candidates.depth)

    def _dense(
        self,
        ann: VectorIndex | None,
        encoder: Encoder | None,
        question: str,
        latency: dict[str, float],
    ) -> _DensePath | None:
        if ann is None or encoder is None:
            return None
        with timed(latency, "embed"):
            vector = encoder.encode([question])[0]
            if not np.isfinite(vector).all():
                raise ModelError(
                    f"the embedder gave a vector that is not finite for {question[:80]!r}",
                    remedy="check the model and its adapter for NaN weights",
                )
        with timed(latency, "dense"):
            if self._index.reduction is not None:
                vector = self._index.reduction.apply(vector[np.newaxis])[0]
            return _DensePath(ann, vector, self._spec.candidates.depth, Effort.of(self._spec.ann))

    def _fuse(self, lexical: _LexicalPath, dense: _DensePath) -> Fused:
        fusion = self._spec.fusion
        if fusion.kind == "rrf":
            lists = [lexical.positions.tolist(), dense.positions.tolist()]
            return reciprocal_rank_fusion(lists, fusion.k)
        union = np.union1d(lexical.positions, dense.positions)
        bounds = fusion.normalisation == "bounds"
        return convex(
            dict(zip(union.tolist(), dense.scores_at(union), strict=True)),
            dict(zip(union.tolist(), lexical.scores_at(union), strict=True)),
            alpha=fusion.alpha,
            dense_span=COSINE_BOUNDS if bounds else dense.span(),
            lexical_span=lexical.bounds() if bounds else lexical.span(),
        )

    def _hits(self, positions: Positions, scores: Scores) -> tuple[Hit, ...]:
        ids = self._index.passage_ids
        pairs = zip(positions.tolist(), scores.tolist(), strict=True)
        return tuple(Hit(ids[position], score) for position, score in pairs)


class _LexicalPath:
    """What the lexical path knows about one question: its candidates and every score."""

    def __init__(self, lexical: Lexical, question: str, depth: int) -> None:
        self._lexical, self._question = lexical, question
        self._all = lexical.scores(question)
        self.positions = best_positions(self._all, depth)
        self.scores = self._all[self.positions]

    def scores_at(self, positions: Positions) -> Sequence[float]:
        found: list[float] = self._all[positions].tolist()
        return found

    def bounds(self) -> Span:
        return Span(0.0, self._lexical.upper_bound(self._question))

    def span(self) -> Span:
        return Span(float(self._all.min()), float(self._all.max()))


class _DensePath:
    """What the dense path knows about one question: its candidates, others on demand."""

    def __init__(self, ann: VectorIndex, vector: Vectors, depth: int, effort: Effort) -> None:
        self._ann, self._vector = ann, vector
        self.positions, self.scores = ann.search(vector, depth, effort=effort)

    def scores_at(self, positions: Positions) -> Sequence[float]:
        found: list[float] = self._ann.scores(self._vector, positions).tolist()
        return found

    def span(self) -> Span:
        return Span(*self._ann.score_range(self._vector))


def best_positions(scores: Scores, depth: int) -> Positions:
    """Positions of the ``depth`` highest positive scores, best first, ties by position."""
    positive = np.flatnonzero(scores > 0)
    if positive.size > depth:
        threshold = np.partition(scores[positive], -depth)[-depth]
        positive = positive[scores[positive] >= threshold]
    return positive[np.lexsort((positive, -scores[positive]))][:depth]
