"""Rows of Parquet, batch by batch: a file may be larger than memory, a row group may not.

A truncated or damaged file gives the rows before the damage.
"""

from __future__ import annotations

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
        return [(values, None) for values in batch.to_pylist()]
    except OverflowError as error:
        if batch.num_rows == 1:
            return [({}, f"a time that no calendar has ({error})")]
    return [row for number in range(batch.num_rows) for row in _read_batch(batch.slice(number, 1))]
