"""Which kind of index a corpus of a given size needs: the plainest that is fast and fits."""

from __future__ import annotations

from ragdiag.retrieval.ann.kinds import list_count
from ragdiag.version import AnnSpec

EXACT_BELOW = 20_000
"""Passages that are compared one by one in about a millisecond (docs/retrieval.md)."""

_REFINER_BITS = {"flat": 32, "fp16": 16, "sq8": 8, "sq6": 6, "sq4": 4}
_ID_BYTES = 8


def resolve(spec: AnnSpec, size: int, dimension: int) -> AnnSpec:
    """``spec`` with the kind that ``auto`` stands for over ``size`` vectors; any other as it is.

    flat up to EXACT_BELOW vectors, then the first of hnsw, hnsw_sq8 and rabitq that fits into
    ``memory_mb``; the last even where it does not. Milvus has no rabitq here. The machine is not
    asked, so that one spec is one index everywhere.

    >>> [resolve(AnnSpec(kind="auto", memory_mb=1000), n, 384).kind
    ...  for n in (10_000, 300_000, 1_000_000, 2_000_000)]
    ['flat', 'hnsw', 'hnsw_sq8', 'rabitq']
    """
    if spec.kind != "auto":
        return spec
    if size <= EXACT_BELOW:
        return spec.model_copy(update={"kind": "flat"})
    for kind in ("hnsw", "hnsw_sq8"):
        chosen = spec.model_copy(update={"kind": kind})
        if size * bytes_per_vector(chosen, size, dimension) <= spec.memory_mb * 1e6:
            return chosen
    last = "hnsw_sq8" if spec.engine == "milvus" else "rabitq"
    return spec.model_copy(update={"kind": last})


def bytes_per_vector(spec: AnnSpec, size: int, dimension: int) -> float:
    """What one of ``size`` vectors takes in memory, links, list entries and refiner included."""
    whole, links = 4.0 * dimension, 4.0 * (2 * spec.m + 4)
    if spec.kind == "flat":
        return whole
    if spec.kind == "flat_sq8":
        return float(dimension)
    if spec.kind == "hnsw":
        return whole + links
    if spec.kind == "hnsw_sq8":
        return dimension + links
    code = dimension / 8 + 8 if spec.kind == "rabitq" else float(spec.code_bytes)
    refined = dimension * _REFINER_BITS[spec.refine] / 8
    return code + _ID_BYTES + refined + whole * list_count(size, spec) / size
