"""A collection of Milvus is filled, and finished in truth before anybody searches it."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic, sleep
from typing import Any

import numpy as np

from ragdiag.ann_spec import AnnSpec
from ragdiag.errors import IndexFault
from ragdiag.progress import Progress, part, report
from ragdiag.retrieval.ann.index import Vectors
from ragdiag.retrieval.ann.shards import Shards
from ragdiag.retrieval.milvus.collection import (
    FIELD,
    INDEX_TYPES,
    KEY,
    METRIC,
    SENT_BYTES,
    check_collection,
    digest,
    drop,
    index_parameters,
    partition,
)
from ragdiag.retrieval.milvus.connection import Connection

_BUILD_S = 6 * 3600.0
"""What indexing may take at most; Milvus does not tell how long it will."""

_SENDING_S = 300.0
_POLL_S = 0.5


def fill_collection(
    connection: Connection,
    name: str,
    vectors: Vectors,
    spec: AnnSpec,
    shards: Shards | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Create the collection ``name`` of unit ``vectors`` (n, d), each under its position, with a
    partition a shard, and return once its index is finished; what the manifest says of it.

    Raises IndexFault, IndexUnreachable; then the collection is dropped where that is possible.
    """
    facts: dict[str, Any] = {
        "collection": name,
        "uri": connection.uri,
        "server": str(connection.ask("get_server_version")),
        "digest": digest(vectors),
    }
    try:
        _create(connection, name, vectors, spec, shards)
        _insert(connection, name, vectors, shards, part(progress, 0.0, 0.5))
        report(progress, 0.5, f"Milvus indexes {len(vectors)} vectors")
        _finish(connection, facts, len(vectors))
        check_collection(connection, facts, spec, *vectors.shape)
    except BaseException:
        drop(connection, name)
        raise
    return facts


def _create(
    connection: Connection, name: str, vectors: Vectors, spec: AnnSpec, shards: Shards | None
) -> None:
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field(KEY, DataType.INT64, is_primary=True)
    schema.add_field(FIELD, DataType.FLOAT_VECTOR, dim=vectors.shape[1])
    connection.ask("create_collection", name, schema=schema)
    for shard in range(0 if shards is None else len(shards.labels)):
        connection.ask("create_partition", name, partition(shard))
    parameters = index_parameters(spec, len(vectors))
    _create_index(connection, name, FIELD, INDEX_TYPES[spec.kind], METRIC, parameters)
    # the embedded engine loads a collection at once, and would index every batch behind our back
    connection.ask("release_collection", name)


def _create_index(
    connection: Connection,
    name: str,
    field: str,
    index_type: str,
    metric: str = "",
    parameters: Mapping[str, Any] | None = None,
) -> None:
    from pymilvus import MilvusClient

    wanted = MilvusClient.prepare_index_params()
    wanted.add_index(
        field,
        index_type,
        field,
        **({"metric_type": metric} if metric else {}),
        # one level deeper than pymilvus asks for: the embedded engine reads nothing else
        params={"params": dict(parameters or {})},
    )
    connection.ask("create_index", name, wanted, sync=False)


def _insert(
    connection: Connection,
    name: str,
    vectors: Vectors,
    shards: Shards | None,
    progress: Progress,
) -> None:
    groups = [np.arange(len(vectors))] if shards is None else shards.positions()
    step = max(1, SENT_BYTES // vectors[0].nbytes)
    sent = 0
    for shard, positions in enumerate(groups):
        where = {} if shards is None else {"partition_name": partition(shard)}
        for start in range(0, len(positions), step):
            batch = positions[start : start + step].tolist()
            rows = [{KEY: position, FIELD: vectors[position]} for position in batch]
            connection.ask("insert", name, rows, timeout_s=_SENDING_S, **where)
            sent += len(batch)
            progress(sent / len(vectors), f"sent {sent} of {len(vectors)} vectors to Milvus")


def _finish(connection: Connection, facts: Mapping[str, Any], size: int) -> None:
    """Wait until every vector is indexed and loaded."""
    name = facts["collection"]
    connection.ask("flush", name, timeout_s=_BUILD_S)
    if facts["server"].startswith("milvus_lite"):
        _let_compaction_end(connection, name)
    deadline = monotonic() + _BUILD_S
    while not _is_indexed(connection.ask("describe_index", name, FIELD), size):
        if monotonic() > deadline:
            raise IndexFault(
                f"Milvus at {connection.uri} has not indexed {name} within {_BUILD_S:g} s",
                remedy="look at its index nodes, then build again",
            )
        sleep(_POLL_S)
    connection.ask("load_collection", name, timeout_s=_BUILD_S)


def _is_indexed(found: Mapping[str, Any] | None, size: int) -> bool:
    """Whether nothing is pending; "Finished" alone may be said of what was sealed until then."""
    found = found or {}
    if found.get("state") == "Failed":
        raise IndexFault("Milvus could not index the vectors", remedy="see the log of Milvus")
    pending = int(found.get("pending_index_rows", 0))
    indexed = int(found.get("indexed_rows", 0))
    return found.get("state") == "Finished" and pending == 0 and indexed >= size


def _let_compaction_end(connection: Connection, name: str) -> None:
    """The embedded engine merges what it has flushed in the background and calls its index
    finished all the while; what is merged after loading is searched without one until it has been
    indexed again (43 s at 100k × 384). Only dropping an index waits for that: one of the keys."""
    _create_index(connection, name, KEY, "INVERTED")
    connection.ask("drop_index", name, f"{KEY}_idx", timeout_s=_BUILD_S)
