"""Rows of CSV (RFC 4180), with a header; separated by commas, semicolons or tabs, or by what a
first line ``sep=|`` says, as Excel has it. The header's first name may be empty: pandas writes its
index so, and nothing reads it.

A row whose number of cells is not the header's, a cell over 10 MB and bytes that are not UTF-8
make their row a reject; the next row is read again.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO, cast

from ragdiag.importers.jsonl import MAX_LINE_BYTES, OVERLONG, bounded_lines
from ragdiag.importers.logs.files import LogStream, UnreadableFile
from ragdiag.importers.logs.reading import Row
from ragdiag.importers.report import Origin

SEPARATORS = ",;\t"
MAX_HEADER_LINES = 100
MAX_HEADER_CHARS = 100_000
"""How far quotes in the header may reach for its separators to be told from their content."""
_NAMED_SEPARATOR = re.compile(r'"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)
_LINE_BREAK = re.compile(r"\s*\n\s*")
_QUOTED = re.compile(rf'(?:^|(?<=[{SEPARATORS}]))"[^"]*(?:""[^"]*)*("|\Z)', re.MULTILINE)
"""A cell in quotes; its group is empty where they are not closed."""


class _BadLine(Exception):
    """A physical line that no row can hold."""


class _Lines:
    """Lines as text, for csv.reader; a bad one raises, and the next call goes on after it."""

    def __init__(self, stream: LogStream) -> None:
        self._lines = bounded_lines(cast(BinaryIO, io.BufferedReader(stream, 1 << 20)))
        self.number = 0
        self._given_back: deque[str] = deque()

    def __iter__(self) -> _Lines:
        return self

    def give_back(self, lines: list[str]) -> None:
        """Have the last ``lines`` come again."""
        self._given_back.extend(lines)
        self.number -= len(lines)

    def __next__(self) -> str:
        if self._given_back:
            self.number += 1
            return self._given_back.popleft()
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
    try:
        reader = csv.reader(lines, delimiter=_find_separator(lines, tabs), strict=True)
        header = _read_header(reader)
    except StopIteration:
        return
    except (_BadLine, csv.Error) as error:
        raise UnreadableFile(f"its header cannot be read: {error}") from None
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
        origin = Origin(source, start, reader.dialect.delimiter.join(cells)[:500])
        if len(cells) != len(header):
            yield Row(origin, fault=f"{len(cells)} cells where the header has {len(header)}")
        else:
            named = zip(header, cells, strict=True)
            yield Row(origin, {name: cell or None for name, cell in named if name})


def _find_separator(lines: _Lines, tabs: bool) -> str:
    """What a first line ``sep=`` names, else what the header has most of outside quotes. The header
    is still to be read after this. Raises StopIteration where there is none."""
    first = next(lines)
    if named := _NAMED_SEPARATOR.fullmatch(first):
        return named[1]
    seen, bare = [first], first
    while _has_open_quotes(bare) and len(seen) < MAX_HEADER_LINES and len(bare) < MAX_HEADER_CHARS:
        try:
            seen.append(next(lines))
        except StopIteration:
            break
        bare += seen[-1]
    lines.give_back(seen)
    if "\0" in bare:
        raise UnreadableFile("its header is not UTF-8 text; save it as CSV UTF-8")
    return "\t" if tabs else max(SEPARATORS, key=_QUOTED.sub("", bare).count)


def _has_open_quotes(text: str) -> bool:
    return any(not cell[1] for cell in _QUOTED.finditer(text))


def _read_header(reader: Iterator[list[str]]) -> list[str]:
    """The names, on one line each; only the first may be empty. Raises StopIteration."""
    header = [_LINE_BREAK.sub(" ", name).strip() for name in next(reader)]
    if len(set(header)) != len(header) or not all(header[1:]) or header in ([], [""]):
        raise UnreadableFile("its header has an empty or repeated name")
    return header
