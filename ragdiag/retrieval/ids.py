"""``ids.parquet`` of an index build: one row a passage, row number = position in its indexes.

    passage_id, content_hash, tenant, topic, published_at, roles

The metadata are there only where some passage has any.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ragdiag.errors import IndexFault
from ragdiag.records import NO_METADATA, Passage, PassageMetadata
from ragdiag.retrieval.manifest import REBUILD
from ragdiag.store.times import to_aware_utc, to_naive_utc

IDS = "ids.parquet"


def write_ids(path: Path, passages: Sequence[Passage]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "passage_id": pa.array([passage.passage_id for passage in passages]),
        "content_hash": pa.array([passage.content_hash for passage in passages]),
    }
    known = [passage.metadata for passage in passages]
    if any(one != NO_METADATA for one in known):
        times = [None if (at := one.published_at) is None else to_naive_utc(at) for one in known]
        columns |= {
            "tenant": pa.array([one.tenant for one in known]),
            "topic": pa.array([one.topic for one in known]),
            "published_at": pa.array(times, type=pa.timestamp("us")),
            "roles": pa.array([list(one.roles) for one in known], type=pa.list_(pa.string())),
        }
    pq.write_table(pa.table(columns), path)


def read_ids(path: Path) -> list[tuple[str, str]]:
    """(passage_id, content_hash) by position. Raises IndexFault where there is no such file."""
    table = _read(path, ["passage_id", "content_hash"])
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def read_metadata(path: Path) -> list[PassageMetadata]:
    """By position. Raises IndexFault as :func:`read_ids`."""
    table = _read(path, ["passage_id", *PassageMetadata.__dataclass_fields__])
    if table.num_columns == 1:
        return [NO_METADATA] * table.num_rows
    rows = zip(*(column.to_pylist() for column in table.columns[1:]), strict=True)
    return [
        PassageMetadata(tenant, topic, None if at is None else to_aware_utc(at), tuple(roles))
        for tenant, topic, at, roles in rows
    ]


def _read(path: Path, columns: list[str]) -> Any:
    """Those of ``columns`` that the file has."""
    import pyarrow.parquet as pq

    try:
        there = set(pq.read_schema(path).names)
        return pq.read_table(path, columns=[name for name in columns if name in there])
    except (OSError, ValueError):  # absent, or not Parquet
        raise IndexFault(f"cannot read {path}", remedy=REBUILD) from None
