"""Fewer dimensions a vector: the principal ones, or the first ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdiag.errors import IndexFault
from ragdiag.retrieval.ann.kinds import REBUILD, load_faiss
from ragdiag.version import AnnSpec

Vectors = npt.NDArray[np.float32]


class Reduction:
    """A linear map from ``source`` to ``dimension`` dimensions, made unit length again."""

    def __init__(self, transform: Any) -> None:
        self._transform = transform
        self.source, self.dimension = int(transform.d_in), int(transform.d_out)

    def apply(self, vectors: Vectors) -> Vectors:
        """Unit vectors (n, dimension) of unit vectors (n, source).

        Raises IndexFault where nothing is left of a vector: it lies wholly in what is cut off.
        """
        reduced = self._transform.apply(np.ascontiguousarray(vectors, dtype=np.float32))
        norms = np.linalg.norm(reduced, axis=1, keepdims=True)
        if not norms.all():
            raise IndexFault(
                f"a vector has nothing in the {self.dimension} dimensions that are kept",
                remedy="keep more dimensions in [ann]",
            )
        return np.asarray(reduced / norms, dtype=np.float32)

    @property
    def bytes(self) -> int:
        """What the map takes beside the index."""
        faiss = load_faiss()
        written = faiss.VectorIOWriter()
        faiss.write_VectorTransform(self._transform, written)
        return int(written.data.size())

    def save(self, path: Path) -> None:
        load_faiss().write_VectorTransform(self._transform, str(path))


def fit_reduction(vectors: Vectors, spec: AnnSpec) -> Reduction | None:
    """The reduction that ``spec`` asks for, learned from ``vectors`` (n, d) where it is PCA; None
    for none.

    PCA does not centre: angles between centred vectors are other angles. Raises IndexFault for
    more dimensions than there are, or than there are vectors.
    """
    if spec.dimensions is None:
        return None
    faiss = load_faiss()
    size, source = vectors.shape
    most = min(size, source) if spec.reduce == "pca" else source
    if spec.dimensions > most:
        raise IndexFault(
            f"dimensions = {spec.dimensions} of {source}, from {size} vectors",
            remedy=f"keep {most} or fewer in [ann]",
        )
    if spec.reduce == "truncate":
        return Reduction(faiss.RemapDimensionsTransform(source, spec.dimensions, False))
    # eigenvectors of XᵀX, the largest first: (source, dimensions)
    _, axes = np.linalg.eigh(vectors.astype(np.float64).T @ vectors.astype(np.float64))
    kept = axes[:, ::-1][:, : spec.dimensions].T
    transform = faiss.LinearTransform(source, spec.dimensions, False)
    faiss.copy_array_to_vector(np.ascontiguousarray(kept.ravel(), dtype=np.float32), transform.A)
    transform.is_trained = True
    transform.set_is_orthonormal()
    return Reduction(transform)


def load_reduction(path: Path) -> Reduction:
    """What ``save`` wrote. Raises IndexFault where it cannot be read."""
    faiss = load_faiss()
    try:
        return Reduction(faiss.read_VectorTransform(str(path)))
    except RuntimeError:
        raise IndexFault(f"cannot read {path}", remedy=REBUILD) from None
