"""Which FAISS index each kind is, made by constructors and asserted to be what was meant.

``index_factory`` is not used: it falls back to L2 for some recipes without a word. Where the index
itself keeps too little of a vector for exact scores, a refiner beside it keeps more (``refine``).

- flat: every vector, every time.
- flat_sq8: one byte a dimension of every vector, every time.
- hnsw: a graph of neighbours over whole vectors (Malkov & Yashunin 2018).
- hnsw_sq8: the same over one byte a dimension.
- ivf_pq: inverted lists of product codes (Jégou et al. 2011).
- opq: the same after a learned rotation (Ge et al. 2013).
- rabitq: inverted lists of one bit a dimension after a random rotation (Gao & Long 2024).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdiag.errors import IndexFault
from ragdiag.version import AnnSpec, Refiner

Vectors = npt.NDArray[np.float32]

TRAINING_POINTS = 39
"""Vectors a k-means centroid needs at least, as FAISS itself counts."""

CODEWORDS = 256
"""Of one product quantiser: eight bits."""

OPQ_TRAINING = 16_384
"""Vectors that the rotation is learned from: more cost minutes and gain nothing measurable."""

OPQ_ROUNDS = 20
ROTATION_SEED = 12_345
REBUILD = "build it again: ragdiag index build VERSION"

_CLASSES: Mapping[str, Sequence[str]] = {
    "flat": ("IndexFlat",),
    "flat_sq8": ("IndexScalarQuantizer",),
    "hnsw": ("IndexHNSWFlat",),
    "hnsw_sq8": ("IndexHNSWSQ",),
    "ivf_pq": ("IndexRefine", "IndexIVFPQ"),
    "opq": ("IndexRefine", "IndexPreTransform", "LinearTransform", "IndexIVFPQ"),
    "rabitq": ("IndexRefine", "IndexPreTransform", "RandomRotationMatrix", "IndexIVFRaBitQ"),
}

_STORED_AS = {
    "IndexFlatIP": "IndexFlat",
    "IndexRefineFlat": "IndexRefine",
    "OPQMatrix": "LinearTransform",
}
"""What FAISS calls them once they were written and read again."""


def make_index(vectors: Vectors, spec: AnnSpec) -> Any:
    """A trained FAISS index of ``spec.kind`` that holds ``vectors`` (n, d).

    Raises IndexFault where there are too few vectors to train it, or where ``code_bytes`` does not
    divide d.
    """
    faiss = load_faiss()
    dimension = vectors.shape[1]
    inner = faiss.METRIC_INNER_PRODUCT
    if spec.kind == "flat":
        index = faiss.IndexFlatIP(dimension)
    elif spec.kind == "flat_sq8":
        index = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit, inner)
    elif spec.kind == "hnsw":
        index = faiss.IndexHNSWFlat(dimension, spec.m, inner)
    elif spec.kind == "hnsw_sq8":
        eight_bits = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexHNSWSQ(dimension, eight_bits, spec.m, inner)
    else:
        index = _refined(_inverted_lists(len(vectors), dimension, spec), dimension, spec.refine)
    if spec.kind.startswith("hnsw"):
        index.hnsw.efConstruction = spec.ef_construction  # counts only before add
    index.train(vectors)
    index.add(vectors)
    return index


def check_index(index: Any, spec: AnnSpec, size: int, dimension: int) -> None:
    """Raise IndexFault where ``index`` is not what the spec and the sizes say."""
    faiss = load_faiss()
    found = (index.metric_type, index.ntotal, index.d)
    wanted = (faiss.METRIC_INNER_PRODUCT, size, dimension)
    names = [_STORED_AS.get(name := type(part).__name__, name) for part in parts(index)]
    inner = all(getattr(part, "metric_type", wanted[0]) == wanted[0] for part in parts(index))
    if found != wanted or names != list(_CLASSES[spec.kind]) or not inner:
        raise IndexFault(
            f"the vector index is {' over '.join(names)} with metric {found[0]}, {found[1]} "
            f"vectors of {found[2]} dimensions, not {spec.kind} with inner product, {size} of "
            f"{dimension}",
            remedy=REBUILD,
        )


def parts(index: Any) -> list[Any]:
    """The index and what it is built over, outermost first; a refiner is not among them."""
    faiss = load_faiss()
    found = [index]
    if isinstance(index, faiss.IndexRefine):
        found += parts(faiss.downcast_index(index.base_index))
    elif isinstance(index, faiss.IndexPreTransform):
        found.append(faiss.downcast_VectorTransform(index.chain.at(0)))
        found += parts(faiss.downcast_index(index.index))
    return found


def stored_vectors(index: Any) -> Any:
    """The FAISS index that keeps the most of each vector: what scores are computed from."""
    faiss = load_faiss()
    if isinstance(index, faiss.IndexRefine):
        return faiss.downcast_index(index.refine_index)
    if isinstance(index, faiss.IndexHNSW):
        return faiss.downcast_index(index.storage)
    return index


def list_count(size: int, spec: AnnSpec) -> int:
    """Inverted lists of an index over ``size`` vectors: the spec's, else 4·√n, but no more than can
    be trained."""
    wanted = spec.nlist or round(4 * math.sqrt(size))
    return max(1, min(wanted, size // TRAINING_POINTS))


def least_vectors(kind: str) -> int:
    """How many vectors an index of this kind learns its codes from at least."""
    if kind == "rabitq":
        return TRAINING_POINTS
    return TRAINING_POINTS * CODEWORDS if kind in ("ivf_pq", "opq") else 1


def load_faiss() -> Any:
    """The library, untyped: its type stubs lack names that it has."""
    import faiss

    return faiss


def _inverted_lists(size: int, dimension: int, spec: AnnSpec) -> Any:
    faiss = load_faiss()
    needed = least_vectors(spec.kind)
    if size < needed:
        raise IndexFault(
            f"kind = {spec.kind!r} learns its codes from {needed} vectors or more, and there are "
            f"{size}",
            remedy='use kind = "hnsw", or "auto", which chooses by size',
        )
    lists, inner = list_count(size, spec), faiss.METRIC_INNER_PRODUCT
    coarse = faiss.IndexFlatIP(dimension)
    if spec.kind == "rabitq":
        rotation = faiss.RandomRotationMatrix(dimension, dimension)
        rotation.init(ROTATION_SEED)
        coded = faiss.IndexIVFRaBitQ(coarse, dimension, lists, inner)
        return faiss.IndexPreTransform(rotation, coded)
    if dimension % spec.code_bytes:
        raise IndexFault(
            f"code_bytes = {spec.code_bytes} does not divide the {dimension} dimensions",
            remedy="choose a divisor of the dimension in [ann]",
        )
    coded = faiss.IndexIVFPQ(coarse, dimension, lists, spec.code_bytes, 8, inner)
    if spec.kind == "ivf_pq":
        return coded
    rotation = faiss.OPQMatrix(dimension, spec.code_bytes)
    rotation.max_train_points, rotation.niter = OPQ_TRAINING, OPQ_ROUNDS
    return faiss.IndexPreTransform(rotation, coded)


def _refined(base: Any, dimension: int, refine: Refiner) -> Any:
    faiss = load_faiss()
    if refine == "flat":
        return faiss.IndexRefine(base, faiss.IndexFlatIP(dimension))
    quantiser = {
        "fp16": faiss.ScalarQuantizer.QT_fp16,
        "sq8": faiss.ScalarQuantizer.QT_8bit,
        "sq6": faiss.ScalarQuantizer.QT_6bit,
        "sq4": faiss.ScalarQuantizer.QT_4bit,
    }[refine]
    kept = faiss.IndexScalarQuantizer(dimension, quantiser, faiss.METRIC_INNER_PRODUCT)
    return faiss.IndexRefine(base, kept)
