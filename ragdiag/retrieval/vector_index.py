"""The vector index of a build: in its folder, in shards or whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ragdiag.ann_spec import AnnSpec
from ragdiag.records import Passage
from ragdiag.retrieval.ann.index import Effort, VectorIndex, Vectors, build_ann, load_ann
from ragdiag.retrieval.ann.ladder import resolve
from ragdiag.retrieval.ann.routing import routing_recall
from ragdiag.retrieval.ann.sharded import build_sharded, load_sharded
from ragdiag.retrieval.ann.shards import Shards, load_shards, make_shards

VECTORS, PARTS, SHARDS = "vectors.faiss", "vectors", "shards.npz"

_SAMPLE, _DEPTH = 64, 10
"""Passages that stand for questions where the cost of routing is measured, and how deep."""


def write_vectors(
    folder: Path, vectors: Vectors, passages: Sequence[Passage], spec: AnnSpec
) -> dict[str, Any]:
    """Index unit ``vectors`` (n, d) of ``passages`` into ``folder``; what the manifest says of it.

    Raises IndexFault where there are too few for the spec's kind.
    """
    made = resolve(spec, *vectors.shape)
    facts = {"kind": made.kind, "metric": "inner_product", "ntotal": len(vectors)}
    facts["dimension"] = vectors.shape[1]
    shards = make_shards([passage.metadata for passage in passages], vectors, made)
    if shards is None:
        build_ann(vectors, made).save(folder / VECTORS)
        return facts
    index = build_sharded(vectors, shards, made)
    index.save(folder / PARTS)
    shards.save(folder / SHARDS)
    return {**facts, **_about_shards(shards, index.kinds), **_routing(index, vectors, shards, made)}


def open_vectors(folder: Path, dense: Mapping[str, Any], spec: AnnSpec, size: int) -> VectorIndex:
    """What ``write_vectors`` wrote and said. Raises IndexFault where it is not that."""
    made = spec.model_copy(update={"kind": dense["kind"]})  # what "auto" came to
    if made.shard_by == "none":
        return load_ann(folder / VECTORS, made, size, dense["dimension"])
    kinds = [shard["kind"] for shard in dense["shards"]]
    return load_sharded(
        folder / PARTS, load_shards(folder / SHARDS), kinds, made, dense["dimension"]
    )


def _about_shards(shards: Shards, kinds: Sequence[str]) -> dict[str, Any]:
    sizes = np.bincount(shards.of, minlength=len(shards.labels)).tolist()
    named = zip(shards.labels, sizes, kinds, strict=True)
    return {
        "shards": [{"label": label, "passages": size, "kind": kind} for label, size, kind in named]
    }


def _routing(index: VectorIndex, vectors: Vectors, shards: Shards, spec: AnnSpec) -> dict[str, Any]:
    """What searching the nearest 1, 2, 4, … shards finds of what searching all does. Passages
    stand for questions, which a build does not know: real ones may lie farther from any shard."""
    counts = [1 << power for power in range(10) if 1 << power < len(shards.labels)]
    if not counts:
        return {}
    chance = np.random.default_rng(0)
    sample = np.sort(chance.choice(len(vectors), min(_SAMPLE, len(vectors)), replace=False))
    recall = routing_recall(
        index,
        vectors[sample],
        depth=_DEPTH,
        shards=counts,
        effort=Effort.of(spec),
        themselves=sample,
    )
    return {
        "routing": {
            "passages": len(sample),
            "depth": _DEPTH,
            "recall": {str(count): round(value, 4) for count, value in recall.items()},
        }
    }
