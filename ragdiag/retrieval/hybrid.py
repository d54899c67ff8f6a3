"""A question through both paths and their fusion; every list and its time is kept."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ragdiag.errors import InputError, ModelError
from ragdiag.records import Hit, Retrieval
from ragdiag.retrieval.ann.index import Mask, Positions, Vectors
from ragdiag.retrieval.breaker import CircuitBreaker, Guard, Unavailable
from ragdiag.retrieval.builds import Index
from ragdiag.retrieval.embed import Encoder, load_question_encoder
from ragdiag.retrieval.filters import STRANGER, PassageFilter, both
from ragdiag.retrieval.fusion import Fused, convex, reciprocal_rank_fusion
from ragdiag.retrieval.fusion_tuning import Evidence
from ragdiag.retrieval.paths import (
    NOTHING,
    Candidates,
    DensePath,
    LexicalPath,
    search_dense,
)
from ragdiag.timing import timed
from ragdiag.version import DegradationSpec, Spec


@dataclass(frozen=True)
class Embedding:
    """A question's unit vector (d,), made in ``ms`` milliseconds; or the ``reason`` for none."""

    vector: Vectors | None
    ms: float = 0.0
    reason: str = ""


class HybridRetriever:
    """Candidates of both paths, fused; with one path, that path's list.

    An index orders its passages by descending id, so "ties by position" is trec_eval's rule,
    "ties by passage id, descending", in every list. With ``[degradation]`` a dense path that fails
    or is late is left out, and the lexical path answers alone.
    """

    def __init__(self, index: Index, spec: Spec, encoder: Encoder | None = None) -> None:
        """Loads the spec's embedder unless an ``encoder`` is given. Raises ModelError."""
        self._index, self._spec = index, spec
        self._encoder = encoder
        if encoder is None and spec.embedder is not None:
            self._encoder = load_question_encoder(spec.embedder)
        guarded = spec.degradation if index.lexical is not None else None
        self.guard = _guard("dense", guarded)
        # Its own: a vector index that fails must not look well because the embedder answers.
        self.embed_guard = _guard("embed", guarded)

    def embed(self, question: str) -> Embedding | None:
        """The question's vector, for who needs it before :meth:`retrieve` does; None where the
        version has no dense path. Guarded as the dense path is."""
        if self._index.ann is None or self._encoder is None:
            return None
        own: dict[str, float] = {}
        try:
            if self.embed_guard is None:
                vector = self._encode(question, own)
            else:
                vector = self.embed_guard.call(lambda: self._encode(question, own))
        except Unavailable as error:
            return Embedding(None, reason=str(error))
        return Embedding(vector, own["embed"])

    def retrieve(
        self,
        question: str,
        *,
        only: PassageFilter = STRANGER,
        allowed: Mask | None = None,
        embedding: Embedding | None = None,
    ) -> Retrieval:
        """Ranked lists of at most ``candidates.depth`` hits, each with milliseconds spent, of
        passages that are in the corpus still, that ``only`` lets through and whose position is
        ``allowed`` (n,).

        Who says nothing finds no tenant's passages and none that are for some roles. ``embedding``
        is what :meth:`embed` gave for this question. A passage that shares no word with the
        question is no lexical candidate. Raises InputError on an empty question.
        """
        if not question.strip():
            raise InputError("the question is empty", remedy="ask something")
        allowed = both(self._index.findable(only), allowed)
        latency: dict[str, float] = {}
        degraded = None
        lexical = self._lexical(question, allowed, latency)
        try:
            dense = self._guarded_dense(question, lexical, allowed, embedding, latency)
        except Unavailable as error:
            dense, degraded = None, str(error)
        if lexical is None or dense is None:
            path = lexical or dense
            fused = () if path is None else self._hits(path.candidates)
        else:
            with timed(latency, "fusion"):
                ranked = self._fuse(lexical, dense)[: self._spec.candidates.depth]
                fused = tuple(Hit(self._index.passage_ids[at], score) for at, score in ranked)
        return Retrieval(
            fused=fused,
            lexical=None if lexical is None else self._hits(lexical.candidates),
            dense=None if dense is None else self._hits(dense.candidates),
            latency_ms=latency,
            searched_depth=self._spec.candidates.depth,
            degraded_reason=degraded,
        )

    def evidence(self, question: str, relevant: Collection[str]) -> Evidence:
        """What fusion weighs for ``question``, of which these passage ids are relevant: passages
        that are in the corpus still, whoever may read them.

        Raises ValueError where the version has only one path.
        """
        alive = self._index.alive
        lexical = self._lexical(question, alive, {})
        if lexical is None or self._index.ann is None:
            raise ValueError("there is one path only")
        dense = self._dense(question, lexical.candidates.positions, alive, None, {})
        union = np.union1d(lexical.candidates.positions, dense.candidates.positions).tolist()
        known, span = lexical.scores_at(np.array(union, dtype=np.int64)), lexical.span(self._spec)
        return Evidence(
            dense=np.array([dense.span.scale(dense.known[at]) for at in union]),
            lexical=np.array([span.scale(known[at]) for at in union]),
            relevant=np.array([self._index.passage_ids[at] in relevant for at in union], bool),
        )

    def _lexical(
        self, question: str, allowed: Mask | None, latency: dict[str, float]
    ) -> LexicalPath | None:
        if self._index.lexical is None:
            return None
        with timed(latency, "lexical"):
            depth = self._spec.candidates.depth
            return LexicalPath(self._index.lexical, question, depth, allowed)

    def _guarded_dense(
        self,
        question: str,
        lexical: LexicalPath | None,
        allowed: Mask | None,
        embedding: Embedding | None,
        latency: dict[str, float],
    ) -> DensePath | None:
        """The dense path within its deadline. Raises Unavailable."""
        if self._index.ann is None or self._encoder is None:
            return None
        beside = NOTHING if lexical is None else lexical.candidates.positions
        vector = None
        if embedding is not None:
            if embedding.vector is None:
                raise Unavailable(embedding.reason)
            vector, latency["embed"] = embedding.vector, embedding.ms
        if self.guard is None:
            return self._dense(question, beside, allowed, vector, latency)
        # times of its own: late work must not write into a request that is logged already
        own: dict[str, float] = {}
        found = self.guard.call(
            lambda: self._dense(question, beside, allowed, vector, own),
            spent_ms=latency.get("embed", 0.0),
        )
        latency |= own
        return found

    def _dense(
        self,
        question: str,
        beside: Positions,
        allowed: Mask | None,
        vector: Vectors | None,
        latency: dict[str, float],
    ) -> DensePath:
        assert self._index.ann is not None
        if vector is None:
            vector = self._encode(question, latency)
        with timed(latency, "dense"):
            if self._index.reduction is not None:
                vector = self._index.reduction.apply(vector[np.newaxis])[0]
            return search_dense(self._index.ann, vector, self._spec, beside, allowed)

    def _encode(self, question: str, latency: dict[str, float]) -> Vectors:
        assert self._encoder is not None
        with timed(latency, "embed"):
            vector: Vectors = self._encoder.encode([question])[0]
            _refuse_unfinite(vector, question)
        return vector

    def _fuse(self, lexical: LexicalPath, dense: DensePath) -> Fused:
        fusion = self._spec.fusion
        found = (lexical.candidates.positions, dense.candidates.positions)
        if fusion.kind == "rrf":
            return reciprocal_rank_fusion([one.tolist() for one in found], fusion.k)
        union = np.union1d(*found)
        return convex(
            {position: dense.known[position] for position in union.tolist()},
            lexical.scores_at(union),
            alpha=fusion.alpha,
            dense_span=dense.span,
            lexical_span=lexical.span(self._spec),
        )

    def _hits(self, found: Candidates) -> tuple[Hit, ...]:
        ids = self._index.passage_ids
        pairs = zip(found.positions.tolist(), found.scores.tolist(), strict=True)
        return tuple(Hit(ids[position], score) for position, score in pairs)


def _guard(name: str, spec: DegradationSpec | None) -> Guard | None:
    if spec is None:
        return None
    return Guard(name, spec.dense_ms, CircuitBreaker(spec.failures, spec.retry_s))


def _refuse_unfinite(vector: Vectors, question: str) -> None:
    if not np.isfinite(vector).all():
        raise ModelError(
            f"the embedder gave a vector that is not finite for {question[:80]!r}",
            remedy="check the model and its adapter for NaN weights",
        )
