"""A collection of Milvus as a build knows it: recognised, read, dropped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ragdiag.ann_spec import AnnSpec
from ragdiag.errors import IndexFault
from ragdiag.retrieval.ann.index import Positions, Vectors
from ragdiag.retrieval.ann.kinds import REBUILD, list_count
from ragdiag.retrieval.milvus.connection import Connection

KEY, FIELD = "position", "vector"

METRIC = "IP"

INDEX_TYPES: Mapping[str, str] = {
    "flat": "FLAT",
    "hnsw": "HNSW",
    "hnsw_sq8": "HNSW_SQ",
    "ivf_flat": "IVF_FLAT",
}

SENT_BYTES = 8_000_000
"""Of vectors in one call; a server takes 64 MB unless it is told otherwise."""

_SAMPLED = 256
"""Vectors by which a collection is recognised."""


def check_collection(
    connection: Connection, facts: Mapping[str, Any], spec: AnnSpec, size: int, dimension: int
) -> None:
    """Load the collection, and raise IndexFault where it is not what was built: gone, of another
    kind, metric, size or dimension, or with other vectors (of those sampled)."""
    name = facts["collection"]
    if not connection.ask("has_collection", name):
        raise IndexFault(
            f"the collection {name} is not in Milvus at {connection.uri}", remedy=REBUILD
        )
    connection.ask("load_collection", name)
    found = _describe(connection, name)
    wanted = {
        "index_type": INDEX_TYPES[spec.kind],
        "metric_type": METRIC,
        "vectors": size,
        "dimensions": dimension,
        **index_parameters(spec, size),
    }
    for what, value in wanted.items():
        if str(found.get(what)) != str(value):
            raise IndexFault(
                f"the collection {name} has {what} = {found.get(what)}, not {value}",
                remedy=REBUILD,
            )
    sample = _sample(size)
    if _digest_of(sample, fetch_vectors(connection, name, sample, dimension)) != facts["digest"]:
        raise IndexFault(
            f"the vectors of the collection {name} have changed since it was built", remedy=REBUILD
        )


def fetch_vectors(
    connection: Connection, name: str, positions: Positions, dimension: int
) -> Vectors:
    """The vectors at ``positions``, (len, d). Raises IndexFault where one is not there."""
    vectors = np.empty((len(positions), dimension), dtype=np.float32)
    step = max(1, SENT_BYTES // (4 * dimension))
    for start in range(0, len(positions), step):
        wanted = positions[start : start + step].tolist()
        rows = connection.ask("get", name, ids=wanted, output_fields=[FIELD])
        known = {row[KEY]: row[FIELD] for row in rows}
        for at, position in enumerate(wanted, start):
            if position not in known:
                raise IndexFault(f"the collection {name} has no vector {position}", remedy=REBUILD)
            vectors[at] = known[position]
    return vectors


def drop(connection: Connection, name: str) -> None:
    """Drop the collection if Milvus can be asked at all; else it is left for the next build."""
    try:
        connection.ask("drop_collection", name)
    except IndexFault:
        return


def partition(shard: int) -> str:
    return f"shard_{shard:02}"


def index_parameters(spec: AnnSpec, size: int) -> dict[str, Any]:
    """What Milvus builds an index of ``spec.kind`` over ``size`` vectors with."""
    graph = {"M": spec.m, "efConstruction": spec.ef_construction}
    by_kind: Mapping[str, dict[str, Any]] = {
        "flat": {},
        "hnsw": graph,
        "hnsw_sq8": {**graph, "sq_type": "SQ8"},
        "ivf_flat": {"nlist": list_count(size, spec)},
    }
    return by_kind[spec.kind]


def _describe(connection: Connection, name: str) -> dict[str, Any]:
    """Index, parameters and sizes, as Milvus tells them."""
    index = connection.ask("describe_index", name, FIELD) or {}
    fields = connection.ask("describe_collection", name)["fields"]
    (kept,) = [field["params"]["dim"] for field in fields if field["name"] == FIELD]
    (row,) = connection.ask("query", name, output_fields=["count(*)"], consistency_level="Strong")
    sizes = {"vectors": row["count(*)"], "dimensions": kept}
    return {**index, **(index.get("params") or {}), **sizes}


def _sample(size: int) -> Positions:
    return np.unique(np.linspace(0, size - 1, _SAMPLED).astype(np.int64))


def digest(vectors: Vectors) -> str:
    """What tells these vectors (n, d) from others, by a sample of them."""
    sample = _sample(len(vectors))
    return _digest_of(sample, vectors[sample])


def _digest_of(positions: Positions, vectors: Vectors) -> str:
    """SHA-256 over positions and vectors, whatever the machine's byte order."""
    told = positions.astype("<i8").tobytes() + vectors.astype("<f4").tobytes()
    return hashlib.sha256(told).hexdigest()
