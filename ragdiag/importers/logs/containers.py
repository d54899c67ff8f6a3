"""Any log file as rows, with how far into the file each lies."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from ragdiag.importers.logs.csv_rows import read_csv
from ragdiag.importers.logs.files import (
    UnreadableFile,
    container_of,
    is_tab_separated,
    open_stream,
)
from ragdiag.importers.logs.json_rows import read_json_document, read_json_lines
from ragdiag.importers.logs.parquet_rows import read_parquet
from ragdiag.importers.logs.reading import Row
from ragdiag.importers.report import Origin, source_name


def read_rows(path: Path, container: str | None = None) -> Generator[tuple[Row, float], None, None]:
    """Each row with the share of the file read so far (0 … 1).

    ``container`` overrides what the file's name says. Where the rest of the file cannot be read,
    the last row is a fault of line 0. Raises InputError where it cannot be opened at all.
    """
    kind = container or container_of(path)
    source = source_name(path)
    try:
        if kind == "parquet":
            yield from read_parquet(path, source)
            return
        size = max(path.stat().st_size, 1)
        with open_stream(path) as stream:
            rows = (
                read_csv(stream, source, tabs=is_tab_separated(path))
                if kind == "csv"
                else read_json_document(stream, source)
                if kind == "json"
                else read_json_lines(stream, source)
            )
            for row in rows:
                yield row, min(stream.consumed / size, 1.0)
    except UnreadableFile as error:
        yield Row(Origin(source), fault=str(error)), 1.0


def first_row(path: Path, container: str | None = None) -> Row | None:
    """The first row that is one; else the first fault; None where the file holds nothing."""
    fault = None
    with closing(read_rows(path, container)) as rows:
        for number, (row, _) in enumerate(rows):
            if row.fault is None:
                return row
            fault = fault or row
            if number >= 100:
                break
    return fault
