"""Rows of Parquet, batch by batch: a file may be larger than memory, a row group may not.

A truncated or damaged file gives the rows before the damage. A map with texts as its keys is read
as a mapping, as JSON has it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ragdiag.importers.logs.files import UnreadableFile
from ragdiag.importers.logs.reading import Row
from ragdiag.importers.report import Origin

BATCH_ROWS = 2_000
MAX_GROUP_BYTES = 2_000_000_000
"""A row group that is larger when expanded is refused: its columns are held whole."""


def read_parquet(path: Path, source: str) -> Iterator[tuple[Row, float]]:
    """Each row with the share of the file's rows read so far. A row's line is its number."""
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            total = file.metadata.num_rows
            for group in range(file.metadata.num_row_groups):
                size = file.metadata.row_group(group).total_byte_size
                if size > MAX_GROUP_BYTES:
                    raise UnreadableFile(
                        f"its row group {group} holds {size} bytes; write smaller row groups"
                    )
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                for values, fault in _read_batch(batch):
                    number += 1
                    yield Row(Origin(source, number), values, fault), number / total
    except (pa.ArrowException, OSError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise UnreadableFile(f"no readable Parquet after its row {number} ({said})") from None


def _read_batch(batch: Any) -> list[tuple[dict[str, Any], str | None]]:
    """Each row as column → value, and why Python cannot hold it where it cannot."""
    try:
        return [(values, None) for values in _to_rows(batch)]
    except OverflowError as error:
        if batch.num_rows == 1:
            return [({}, f"a time that no calendar has ({error})")]
    return [row for number in range(batch.num_rows) for row in _read_batch(batch.slice(number, 1))]


def _to_rows(batch: Any) -> list[dict[str, Any]]:
    """Of a key that a map has twice the last value counts, as in JSON; Arrow would warn of it."""
    names = batch.schema.names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        columns = [
            column.to_pylist(maps_as_pydicts=None if _has_other_keys(column.type) else "lossy")
            for column in batch.columns
        ]
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _has_other_keys(kind: Any) -> bool:
    """Whether there is a map in it whose keys are no texts: as mappings they could not be read."""
    if pa.types.is_map(kind) and not (
        pa.types.is_string(kind.key_type) or pa.types.is_large_string(kind.key_type)
    ):
        return True
    return any(_has_other_keys(kind.field(number).type) for number in range(kind.num_fields))
