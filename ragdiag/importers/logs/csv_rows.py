"""Rows of CSV (RFC 4180), with a header; separated by commas, semicolons or tabs.

A row whose number of cells is not the header's, a cell over 10 MB and bytes that are not UTF-8
make their row a reject; the next row is read again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO, cast

from ragdiag.importers.jsonl import MAX_LINE_BYTES, OVERLONG, bounded_lines
from ragdiag.importers.logs.files import LogStream, UnreadableFile
from ragdiag.importers.logs.reading import Row
from ragdiag.importers.report import Origin

SEPARATORS = ",;\t"


class _BadLine(Exception):
    """A physical line that no row can hold."""


class _Lines:
    """Lines as text, for csv.reader; a bad one raises, and the next call goes on after it."""

    def __init__(self, stream: LogStream) -> None:
        self._lines = bounded_lines(cast(BinaryIO, io.BufferedReader(stream, 1 << 20)))
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        self.number, raw = next(self._lines)
        if raw is None:
            raise _BadLine(OVERLONG)
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise _BadLine(f"not UTF-8 at byte {error.start + 1} of the line") from None


def read_csv(stream: LogStream, source: str, *, tabs: bool) -> Iterator[Row]:
    """Every row as column → cell; an empty cell is None. A row's line is its first line."""
    csv.field_size_limit(MAX_LINE_BYTES)
    lines = _Lines(stream)
    header, separator = _read_header(lines, tabs)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        start = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (_BadLine, csv.Error) as error:
            yield Row(Origin(source, start), fault=f"not CSV: {error}")
            continue
        if not cells:
            continue
        origin = Origin(source, start, separator.join(cells)[:500])
        if len(cells) != len(header):
            yield Row(origin, fault=f"{len(cells)} cells where the header has {len(header)}")
        else:
            yield Row(origin, {n: c if c else None for n, c in zip(header, cells, strict=True)})


def _read_header(lines: _Lines, tabs: bool) -> tuple[list[str], str]:
    try:
        first = next(lines)
    except StopIteration:
        return [], ","
    except _BadLine as error:
        raise UnreadableFile(f"its header cannot be read: {error}") from None
    if "\0" in first:
        raise UnreadableFile("its header is not UTF-8 text; save it as CSV UTF-8")
    separator = "\t" if tabs else max(SEPARATORS, key=first.count)
    try:
        header = [name.strip() for name in next(csv.reader([first], delimiter=separator))]
    except (csv.Error, StopIteration) as error:
        raise UnreadableFile(f"its header is not CSV ({error})") from None
    if len(set(header)) != len(header) or not all(header):
        raise UnreadableFile("its header has an empty or repeated name")
    return header, separator
