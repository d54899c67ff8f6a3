"""A vector index that Milvus holds: candidates from its search, scores from the vectors it keeps.

Scores are computed here, as :mod:`ragdiag.retrieval.ann.index` does, from the whole vectors that
come with the candidates: Milvus ranks alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from threading import Lock
from typing import Any

import numpy as np

from ragdiag.ann_spec import AnnSpec
from ragdiag.errors import IndexFault
from ragdiag.retrieval.ann.index import (
    TIE,
    Effort,
    Mask,
    Positions,
    Scores,
    Vectors,
    inner_products,
)
from ragdiag.retrieval.ann.kinds import list_count
from ragdiag.retrieval.ann.shards import Shards
from ragdiag.retrieval.milvus.collection import (
    FIELD,
    KEY,
    METRIC,
    check_collection,
    fetch_vectors,
    partition,
)
from ragdiag.retrieval.milvus.connection import Connection

_FEW = 1_000
"""So few allowed vectors are fetched and compared here: exact, and as fast as a search."""

_MOST = 16_384
"""What Milvus returns of one search at most."""

_RETURNED_BYTES = 64_000_000
_LISTED = 10_000
"""Allowed positions in one expression: the embedded engine reads that many in a quarter second."""

_SPARE, _MORE = 2.0, 4
"""How many times more than the filter's share suggests is asked for, and how many times more
again where that was too few."""


@dataclass(frozen=True)
class _Scope:
    """What is searched: ``held`` vectors in these partitions and under this expression, of which
    ``count`` are ``allowed`` (n,)."""

    held: int
    count: int
    partitions: list[str] | None = None
    allowed: Mask | None = None
    expression: str = ""


class MilvusIndex:
    """A :class:`~ragdiag.retrieval.ann.index.VectorIndex` over one collection; safe in threads."""

    def __init__(
        self,
        connection: Connection,
        facts: Mapping[str, Any],
        spec: AnnSpec,
        size: int,
        dimension: int,
        shards: Shards | None = None,
    ) -> None:
        """``facts`` are what the manifest says; nothing is asked of Milvus before :meth:`open`, or
        the first search."""
        self._connection, self._facts, self._spec = connection, facts, spec
        self._shards = shards
        self.size, self.dimension = size, dimension
        self._limit = max(1, min(_MOST, _RETURNED_BYTES // (4 * dimension)))
        self._lock, self._checked = Lock(), False

    def open(self) -> None:
        """Load the collection and check it against the manifest. Raises IndexUnreachable, and
        IndexFault where it is not what was built."""
        # where Milvus hangs, those who wait for one that asks it must not each wait in turn
        if not self._lock.acquire(timeout=self._connection.timeout_s):
            raise self._connection.unreachable("another question waits for it")
        try:
            if not self._checked:
                sizes = (self.size, self.dimension)
                check_collection(self._connection, self._facts, self._spec, *sizes)
                self._checked = True
        finally:
            self._lock.release()

    def search(
        self,
        vector: Vectors,
        depth: int,
        *,
        effort: Effort | None = None,
        allowed: Mask | None = None,
    ) -> tuple[Positions, Scores]:
        """As :class:`VectorIndex` has it. Raises IndexUnreachable, IndexFault."""
        effort = effort or Effort.of(self._spec)
        scope = self._scope(vector, depth, effort, allowed)
        depth = min(depth, scope.count)
        if not depth:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if scope.allowed is not None and scope.count <= max(_FEW, depth):
            positions = np.flatnonzero(scope.allowed)
            scores = self.scores(vector, positions)
        else:
            found = self._seek(vector, depth, effort, scope)
            positions, scores = found or self._seek_listed(vector, depth, effort, scope)
        best = np.lexsort((positions, -scores))[:depth]
        return positions[best], scores[best]

    def scores(self, vector: Vectors, positions: Positions) -> Scores:
        """Exact, whatever the index's kind. Raises as :meth:`search`."""
        return _scores(self.vectors(positions), vector)

    def vectors(self, positions: Positions) -> Vectors:
        """Whole, whatever the index's kind. Raises as :meth:`search`."""
        self.open()
        try:
            name = self._facts["collection"]
            return fetch_vectors(self._connection, name, positions, self.dimension)
        except IndexFault:
            self._checked = False
            raise

    def score_range(self, vector: Vectors) -> tuple[float, float]:
        """Raises IndexFault: Milvus does not compare every vector."""
        raise IndexFault(
            "Milvus does not tell the range over every vector",
            remedy='set normalisation = "bounds" in [fusion]',
        )

    def _scope(self, vector: Vectors, depth: int, effort: Effort, allowed: Mask | None) -> _Scope:
        shards, held, partitions = self._shards, self.size, None
        if shards is not None:
            routed = shards.route(vector, effort.shards, depth, allowed)
            if len(routed) < len(shards.labels):
                held = int(shards.sizes[routed].sum())
                partitions = [partition(shard) for shard in routed]
                if allowed is not None:
                    allowed = allowed & np.isin(shards.of, routed)
        count = held if allowed is None else int(np.count_nonzero(allowed))
        return _Scope(held, count, partitions, allowed)

    def _seek(
        self, vector: Vectors, depth: int, effort: Effort, scope: _Scope
    ) -> tuple[Positions, Scores] | None:
        """What Milvus finds, and more of it until it holds the best ``depth``; None where the
        filter lets too little of it through."""
        share = 1.0 if scope.allowed is None else _SPARE * scope.held / scope.count
        most = min(scope.held, self._limit)
        limit = ceil(depth * share) + 1
        if limit > most == self._limit and scope.allowed is not None:
            return None
        while True:
            limit = min(limit, most)
            positions, scores = self._ask(vector, limit, effort, scope)
            given, lowest = len(scores), float(scores.min(initial=np.inf))
            if scope.allowed is not None:
                kept = scope.allowed[positions]
                positions, scores = positions[kept], scores[kept]
            if self._hold_the_best(scores, depth, lowest):
                return positions, scores
            if given < limit or limit == most:  # there is no more to be had
                return (positions, scores) if scope.allowed is None or given == scope.held else None
            limit *= _MORE

    def _hold_the_best(self, scores: Scores, depth: int, lowest: float) -> bool:
        """Whether no better one can be missing, where the search is exact: what was not returned
        is no nearer than the ``lowest`` that was, and may tie with it."""
        if len(scores) < depth or self._spec.kind != "flat":
            return len(scores) >= depth
        return float(np.partition(scores, -depth)[-depth]) - lowest >= TIE

    def _seek_listed(
        self, vector: Vectors, depth: int, effort: Effort, scope: _Scope
    ) -> tuple[Positions, Scores]:
        """Among the allowed positions themselves, so many in each of several searches."""
        assert scope.allowed is not None
        everywhere = np.flatnonzero(scope.allowed)
        found = []
        for start in range(0, len(everywhere), _LISTED):
            listed = everywhere[start : start + _LISTED].tolist()
            expression = f"{KEY} in [{','.join(map(str, listed))}]"
            part = _Scope(len(listed), len(listed), scope.partitions, None, expression)
            found.append(self._seek(vector, min(depth, len(listed)), effort, part))
        positions, scores = zip(*(one for one in found if one is not None), strict=True)
        return np.concatenate(positions), np.concatenate(scores)

    def _ask(
        self, vector: Vectors, limit: int, effort: Effort, scope: _Scope
    ) -> tuple[Positions, Scores]:
        """The ``limit`` that Milvus ranks first, in any order."""
        self.open()
        lists = list_count(self.size, self._spec)
        tries = {
            "flat": {},
            "hnsw": {"ef": max(limit, effort.ef_search)},
            "hnsw_sq8": {"ef": max(limit, effort.ef_search)},
            "ivf_flat": {"nprobe": lists if scope.expression else min(effort.nprobe, lists)},
        }[self._spec.kind]
        try:
            (hits,) = self._connection.ask(
                "search",
                self._facts["collection"],
                data=[vector.tolist()],
                anns_field=FIELD,
                limit=limit,
                filter=scope.expression,
                partition_names=scope.partitions,
                output_fields=[FIELD],
                search_params={"metric_type": METRIC, "params": tries},
            )
        except IndexFault:
            self._checked = False
            raise
        positions = np.array([hit[KEY] for hit in hits], dtype=np.int64)
        vectors = np.array([hit["entity"][FIELD] for hit in hits], dtype=np.float32)
        return positions, _scores(vectors.reshape(-1, self.dimension), vector)


def _scores(vectors: Vectors, vector: Vectors) -> Scores:
    return inner_products(vectors.astype(np.float64), vector).astype(np.float32)
