"""The vector index of a build: in its folder or in Milvus, in shards or whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ragdiag.ann_spec import AnnSpec
from ragdiag.errors import IndexFault, IndexUnreachable
from ragdiag.progress import Progress
from ragdiag.records import Passage
from ragdiag.retrieval.ann.index import Ann, Effort, VectorIndex, Vectors, build_ann, load_ann
from ragdiag.retrieval.ann.ladder import resolve
from ragdiag.retrieval.ann.routing import routing_recall
from ragdiag.retrieval.ann.sharded import ShardedIndex, build_sharded, load_sharded
from ragdiag.retrieval.ann.shards import Shards, load_shards, make_shards
from ragdiag.retrieval.milvus.connection import connect
from ragdiag.retrieval.milvus.filling import fill_collection
from ragdiag.retrieval.milvus.index import MilvusIndex
from ragdiag.retrieval.milvus.leftovers import building, drop_leftovers, new_collection
from ragdiag.settings import Workspace
from ragdiag.version import Spec

VECTORS, PARTS, SHARDS = "vectors.faiss", "vectors", "shards.npz"

_SAMPLE, _DEPTH = 64, 10
"""Passages that stand for questions where the cost of routing is measured, and how deep."""


def write_vectors(
    folder: Path,
    vectors: Vectors,
    passages: Sequence[Passage],
    spec: AnnSpec,
    workspace: Workspace,
    build_id: str,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Index unit ``vectors`` (n, d) of ``passages`` into ``folder`` or into Milvus; what the
    manifest says of it.

    Raises IndexFault where there are too few for the spec's kind, IndexUnreachable.
    """
    made = resolve(spec, *vectors.shape)
    shards = make_shards([passage.metadata for passage in passages], vectors, made)
    facts = {
        "kind": made.kind,
        "metric": "inner_product",
        "dimension": vectors.shape[1],
        "ntotal": len(vectors),
    }
    index: VectorIndex
    if made.engine == "milvus":
        connection = connect(made, workspace)
        connection.create()
        name = new_collection(workspace, build_id)
        facts["milvus"] = fill_collection(connection, name, vectors, made, shards, progress)
        size, dimension = vectors.shape
        index = MilvusIndex(connection, facts["milvus"], made, size, dimension, shards)
    else:
        index = _save_faiss(folder, vectors, made, shards)
    if shards is None:
        return facts
    shards.save(folder / SHARDS)
    kinds = index.kinds if isinstance(index, ShardedIndex) else [made.kind] * len(shards.labels)
    return {**facts, **_about_shards(shards, kinds), **_routing(index, vectors, shards, made)}


def open_vectors(
    folder: Path, dense: Mapping[str, Any], spec: Spec, workspace: Workspace, size: int
) -> VectorIndex:
    """What ``write_vectors`` wrote and said.

    Raises IndexFault where it is not that, IndexUnreachable where Milvus does not answer, unless
    the spec lets the lexical path answer alone: then Milvus is asked again by every search.
    """
    made = spec.ann.model_copy(update={"kind": dense["kind"]})  # what "auto" came to
    dimension = dense["dimension"]
    shards = None if made.shard_by == "none" else load_shards(folder / SHARDS)
    if made.engine == "milvus":
        connection = connect(made, workspace)
        index = MilvusIndex(connection, dense["milvus"], made, size, dimension, shards)
        can_wait = spec.degradation is not None and spec.lexical is not None
        with suppress(IndexUnreachable) if can_wait else nullcontext():
            index.open()
        return index
    if shards is None:
        return load_ann(folder / VECTORS, made, size, dimension)
    kinds = [shard["kind"] for shard in dense["shards"]]
    return load_sharded(folder / PARTS, shards, kinds, made, dimension)


def check_vectors(
    folder: Path, manifest: Mapping[str, Any], spec: Spec, workspace: Workspace
) -> None:
    """Raise IndexFault where Milvus has not what the manifest says, IndexUnreachable where it does
    not answer. What lies in the folder is checked by its hashes."""
    if spec.embedder is not None and spec.ann.engine == "milvus":
        alone = spec.model_copy(update={"degradation": None})
        open_vectors(folder, manifest["dense"], alone, workspace, manifest["passages"])


@contextmanager
def publishing(spec: Spec, workspace: Workspace) -> Iterator[None]:
    """What is written within this block and named by a manifest at its end stays; what earlier
    builds left in Milvus is cleared away first."""
    if spec.embedder is None or spec.ann.engine != "milvus":
        yield
        return
    with suppress(IndexFault):  # whether Milvus is there is asked again, and told, by the build
        drop_leftovers(connect(spec.ann, workspace), workspace)
    with building(workspace):
        yield


def _save_faiss(
    folder: Path, vectors: Vectors, spec: AnnSpec, shards: Shards | None
) -> Ann | ShardedIndex:
    if shards is None:
        whole = build_ann(vectors, spec)
        whole.save(folder / VECTORS)
        return whole
    index = build_sharded(vectors, shards, spec)
    index.save(folder / PARTS)
    return index


def _about_shards(shards: Shards, kinds: Sequence[str]) -> dict[str, Any]:
    named = zip(shards.labels, shards.sizes.tolist(), kinds, strict=True)
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
