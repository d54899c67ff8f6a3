"""One vector index: candidates from FAISS, scores from the stored vectors.

Scores are computed in double precision from what the index keeps of each vector and rounded to
float32, so that equal passages tie exactly, whatever the index and the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ragdiag.errors import IndexFault
from ragdiag.retrieval.ann.kinds import (
    REBUILD,
    check_index,
    load_faiss,
    make_index,
    parts,
    stored_vectors,
)
from ragdiag.version import AnnSpec

Vectors = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

TIE = 1e-6
"""FAISS sums in single precision: what is closer than this at the cut may be a tie."""

_FEW = 10_000
"""So few allowed vectors are compared one by one: faster than a graph that meets mostly others,
and exact."""

_SHARE = 1 / 8
"""So small an allowed share of the index is compared exactly however many it is: a graph or a list
would spend its effort on the others. 5 ms for 12,500 of 100,000 × 384 on two busy cores."""

_SPARE = 2.0
"""How many times more of a graph's nodes than the allowed share suggests are asked for."""

_BLOCK = 8_192
"""Vectors decoded at a time."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard a search tries; what does not belong to the index's kind is passed over. ``shards``
    are the nearest ones only; None are all."""

    ef_search: int
    nprobe: int
    refine_factor: int
    shards: int | None = None

    @classmethod
    def of(cls, spec: AnnSpec) -> Effort:
        return cls(spec.ef_search, spec.nprobe, spec.refine_factor, spec.search_shards)


class VectorIndex(Protocol):
    """Vectors by position: those of the passages a build was made from, in their order."""

    size: int
    dimension: int

    def search(
        self,
        vector: Vectors,
        depth: int,
        *,
        effort: Effort | None = None,
        allowed: Mask | None = None,
    ) -> tuple[Positions, Scores]:
        """The ``depth`` nearest to ``vector`` (d,) among the ``allowed`` (n,), best first, ties by
        position."""
        ...

    def scores(self, vector: Vectors, positions: Positions) -> Scores:
        """Inner products of ``vector`` (d,) with the vectors at ``positions``, float32."""
        ...

    def vectors(self, positions: Positions) -> Vectors:
        """What is kept of the vectors at ``positions``, float32 (len, d)."""
        ...

    def score_range(self, vector: Vectors) -> tuple[float, float]:
        """Lowest and highest inner product over every vector."""
        ...


class Ann:
    """A FAISS index of one of the kinds in kinds.py."""

    def __init__(self, index: Any, spec: AnnSpec, size: int, dimension: int) -> None:
        """``spec.kind`` is not "auto" any more. Raises IndexFault where the index is not what the
        spec and the sizes say."""
        check_index(index, spec, size, dimension)
        self._index, self._spec = index, spec
        self.size, self.dimension = size, dimension
        self._store = stored_vectors(index)
        self._flat = isinstance(self._store, load_faiss().IndexFlat)
        # a view of FAISS's own memory, which lives as long as self._index
        if self._flat:
            memory = load_faiss().rev_swig_ptr(self._store.get_xb(), size * dimension)
        else:
            codes, width = self._store.codes, self._store.code_size
            memory = load_faiss().rev_swig_ptr(codes.data(), size * width)
        self._kept = memory.reshape(size, -1)

    def search(
        self,
        vector: Vectors,
        depth: int,
        *,
        effort: Effort | None = None,
        allowed: Mask | None = None,
    ) -> tuple[Positions, Scores]:
        """As :class:`VectorIndex` has it; ``effort`` is the spec's unless given, for this query
        alone. HNSW explores ``ef_search`` nodes, at least as many as it is to find. A filter
        raises the effort; where few are ``allowed``, or it finds fewer of them than ``depth``, all
        allowed ones are compared."""
        count = self.size if allowed is None else int(np.count_nonzero(allowed))
        depth = min(depth, count)
        if not depth:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if allowed is not None and count <= max(_FEW, depth):
            positions = np.flatnonzero(allowed)
        else:
            row = np.ascontiguousarray(vector.reshape(1, -1), dtype=np.float32)
            positions = self._candidates(
                row, depth, effort or Effort.of(self._spec), allowed, count
            )
        scores = self.scores(vector, positions)
        best = np.lexsort((positions, -scores))[:depth]
        return positions[best], scores[best]

    def scores(self, vector: Vectors, positions: Positions) -> Scores:
        return inner_products(self.vectors(positions).astype(np.float64), vector).astype(np.float32)

    def vectors(self, positions: Positions) -> Vectors:
        """As :class:`VectorIndex` has it; exact where the kind is flat or hnsw."""
        kept = self._kept[positions]
        return kept if self._flat else np.asarray(self._store.sa_decode(kept))

    def score_range(self, vector: Vectors) -> tuple[float, float]:
        """O(n·d): 18 ms at 100k × 384 whole vectors; compressed ones are decoded on the way."""
        ranges = [
            (products.min(), products.max())
            for products in (inner_products(block, vector) for block in self._blocks())
        ]
        lows, highs = zip(*ranges, strict=True)
        return float(min(lows)), float(max(highs))

    def save(self, path: Path) -> None:
        load_faiss().write_index(self._index, str(path))

    @property
    def kind(self) -> str:
        return self._spec.kind

    @property
    def bytes(self) -> int:
        """What the index takes: codes, links, lists and refiner."""
        return len(load_faiss().serialize_index(self._index))

    def _blocks(self) -> Iterator[Vectors]:
        if self._flat:
            yield self._kept
            return
        for start in range(0, self.size, _BLOCK):
            yield self.vectors(np.arange(start, min(start + _BLOCK, self.size)))

    def _candidates(
        self, row: Vectors, depth: int, effort: Effort, allowed: Mask | None, count: int
    ) -> Positions:
        """Positions that hold the best ``depth`` of the ``count`` allowed ones; all that tie at the
        cut where it is exact."""
        # held here because the parameters only point to it
        bits = None if allowed is None else np.packbits(allowed, bitorder="little")
        selector = None if bits is None else load_faiss().IDSelectorBitmap(bits)
        every = self._store is self._index  # the kind has no other search
        if every or (allowed is not None and count <= _SHARE * self.size):
            return self._exact(row, depth, selector)
        found = self._approximate(row, depth, effort, selector, count)
        if allowed is None:
            return found
        found = found[allowed[found]]
        return found if len(found) >= depth else self._exact(row, depth, selector)

    def _approximate(
        self, row: Vectors, depth: int, effort: Effort, selector: Any, count: int
    ) -> Positions:
        """Positions near ``row``; the fewer are allowed (``count``), the greater the effort."""
        faiss = load_faiss()
        index = self._index
        if isinstance(index, faiss.IndexHNSW):
            # the others are dropped afterwards: told to the graph, they hide what it did not reach
            spare = ceil(depth * (_SPARE * self.size / count - 1))
            wanted = depth + min(spare, self.size - count)
            parameters = faiss.SearchParametersHNSW(efSearch=max(wanted, effort.ef_search))
        else:
            # the refiner's turn is taken by scores(), which reads what the refiner keeps
            index = faiss.downcast_index(index.base_index)
            wanted = min(depth * effort.refine_factor, self.size)
            nprobe = ceil(effort.nprobe * self.size / count)
            parameters = _list_parameters(index, nprobe, selector)
        _, found = index.search(row, wanted, params=parameters)
        return np.asarray(found[0][found[0] >= 0], dtype=np.int64)

    def _exact(self, row: Vectors, depth: int, selector: Any) -> Positions:
        faiss = load_faiss()
        parameters = None if selector is None else faiss.SearchParameters(sel=selector)
        scores, found = self._store.search(row, min(depth + 1, self.size), params=parameters)
        more = depth < self.size and found[0][depth] >= 0
        if more and scores[0][depth - 1] - scores[0][depth] < TIE:
            threshold = float(scores[0][depth - 1]) - TIE
            _, _, found = self._store.range_search(row, threshold, params=parameters)
            return np.asarray(found, dtype=np.int64)
        return np.asarray(found[0][:depth], dtype=np.int64)


def build_ann(vectors: Vectors, spec: AnnSpec) -> Ann:
    """Index unit ``vectors`` (n, d), which the caller has checked to be finite. Raises IndexFault
    where there are too few for the spec's kind."""
    size, dimension = vectors.shape
    index = make_index(np.ascontiguousarray(vectors, dtype=np.float32), spec)
    return Ann(index, spec, size, dimension)


def load_ann(path: Path, spec: AnnSpec, size: int, dimension: int) -> Ann:
    """Read what ``save`` wrote. FAISS does not notice changed bytes: check the file's hash first.

    Raises IndexFault where the file cannot be read or is another index.
    """
    try:
        index = load_faiss().read_index(str(path))
    except RuntimeError:
        raise IndexFault(f"cannot read the vector index {path}", remedy=REBUILD) from None
    return Ann(index, spec, size, dimension)


def _list_parameters(index: Any, nprobe: int, selector: Any) -> Any:
    faiss = load_faiss()
    lists = parts(index)[-1]
    if isinstance(lists, faiss.IndexIVFRaBitQ):
        parameters = faiss.IVFRaBitQSearchParameters()
        parameters.nprobe, parameters.sel = nprobe, selector
    else:
        parameters = faiss.SearchParametersIVF(nprobe=nprobe, sel=selector)
    if isinstance(index, faiss.IndexPreTransform):
        return faiss.SearchParametersPreTransform(index_params=parameters)
    return parameters


def inner_products(vectors: npt.NDArray[Any], vector: Vectors) -> npt.NDArray[Any]:
    """Inner products row by row. Not ``@``: BLAS sums equal rows in different orders, and its
    threads wait 10 ms for each other on a busy machine."""
    return np.asarray(np.einsum("ij,j->i", vectors, vector.astype(vectors.dtype)))
