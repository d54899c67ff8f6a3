"""Nearest neighbours by inner product over unit vectors: FAISS Flat (exact) and HNSW.

Indexes are made by constructors, never by ``index_factory``, which falls back to L2 for some
recipes without a word; metric, count and dimension are asserted after every build and load.
Scores are computed in double precision from the stored vectors and rounded to float32, so that
equal passages tie exactly, whatever the index and the number of threads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdiag.errors import IndexFault
from ragdiag.version import AnnSpec

Vectors = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

_TIE = 1e-6
"""FAISS sums in single precision: what is closer than this at the cut may be a tie."""


class Ann:
    """One FAISS index; positions are those of the vectors it was built from."""

    def __init__(self, index: Any, spec: AnnSpec, size: int, dimension: int) -> None:
        """Raises IndexFault where the index is not what the spec and the sizes say."""
        faiss = _faiss()

        kind = faiss.IndexHNSWFlat if spec.kind == "hnsw" else faiss.IndexFlat
        found = (type(index).__name__, index.metric_type, index.ntotal, index.d)
        if not isinstance(index, kind) or found[1:] != (
            faiss.METRIC_INNER_PRODUCT,
            size,
            dimension,
        ):
            raise IndexFault(
                f"the vector index is {found[0]} with metric {found[1]}, {found[2]} vectors of "
                f"{found[3]} dimensions, not {spec.kind} with inner product, {size} of {dimension}",
                remedy="build it again: ragdiag index build VERSION",
            )
        self._index, self._spec = index, spec
        self.size, self.dimension = size, dimension
        store = faiss.downcast_index(index.storage) if spec.kind == "hnsw" else index
        # a view of FAISS's own memory, which lives as long as self._index
        flat = faiss.rev_swig_ptr(store.get_xb(), size * dimension)
        self._vectors: Vectors = flat.reshape(size, dimension)

    def search(
        self, vector: Vectors, depth: int, ef_search: int | None = None
    ) -> tuple[Positions, Scores]:
        """The ``depth`` nearest to ``vector`` (d,), best first, ties by position.

        HNSW explores max(depth, ef_search or the spec's) nodes, set for this query alone.
        """
        depth = min(depth, self.size)
        positions = self._candidates(vector.reshape(1, -1), depth, ef_search)
        scores = self.scores(vector, positions)
        best = np.lexsort((positions, -scores))[:depth]
        return positions[best], scores[best]

    def scores(self, vector: Vectors, positions: Positions) -> Scores:
        """Inner products of ``vector`` (d,) with the vectors at ``positions``, float32."""
        return _products(self._vectors[positions].astype(np.float64), vector).astype(np.float32)

    def score_range(self, vector: Vectors) -> tuple[float, float]:
        """Lowest and highest inner product over every stored vector, whatever the index's kind.

        O(n·d): 18 ms at 100k × 384.
        """
        products = _products(self._vectors, vector)
        return float(products.min()), float(products.max())

    def save(self, path: Path) -> None:
        _faiss().write_index(self._index, str(path))

    def _candidates(self, vector: Vectors, depth: int, ef_search: int | None) -> Positions:
        """Positions that hold the best ``depth``; all that tie at the cut where it is exact."""
        if self._spec.kind == "hnsw":
            parameters = _faiss().SearchParametersHNSW(
                efSearch=max(depth, ef_search or self._spec.ef_search)
            )
            _, found = self._index.search(vector, depth, params=parameters)
            return np.asarray(found[0][found[0] >= 0], dtype=np.int64)
        scores, found = self._index.search(vector, min(depth + 1, self.size))
        if depth < self.size and scores[0][depth - 1] - scores[0][depth] < _TIE:
            threshold = float(scores[0][depth - 1]) - _TIE
            _, _, found = self._index.range_search(vector, threshold)
            return np.asarray(found, dtype=np.int64)
        return np.asarray(found[0][:depth], dtype=np.int64)


def build_ann(vectors: Vectors, spec: AnnSpec) -> Ann:
    """Index unit ``vectors`` (n, d), which the caller has checked to be finite."""
    faiss = _faiss()
    size, dimension = vectors.shape
    if spec.kind == "hnsw":
        index = faiss.IndexHNSWFlat(dimension, spec.m, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = spec.ef_construction  # counts only before add
    else:
        index = faiss.IndexFlatIP(dimension)
    index.add(np.ascontiguousarray(vectors, dtype=np.float32))
    return Ann(index, spec, size, dimension)


def load_ann(path: Path, spec: AnnSpec, size: int, dimension: int) -> Ann:
    """Read what ``save`` wrote. FAISS does not notice changed bytes: check the file's hash first.

    Raises IndexFault where the file cannot be read or is another index.
    """
    try:
        index = _faiss().read_index(str(path))
    except RuntimeError:
        raise IndexFault(
            f"cannot read the vector index {path}",
            remedy="build it again: ragdiag index build VERSION",
        ) from None
    return Ann(index, spec, size, dimension)


def _products(vectors: npt.NDArray[Any], vector: Vectors) -> npt.NDArray[Any]:
    """Inner products row by row. Not ``@``: BLAS sums equal rows in different orders, and its
    threads wait 10 ms for each other on a busy machine."""
    return np.asarray(np.einsum("ij,j->i", vectors, vector.astype(vectors.dtype)))


def _faiss() -> Any:
    """The library, untyped: its type stubs lack names that it has."""
    import faiss

    return faiss
