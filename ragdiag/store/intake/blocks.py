"""A spool segment read in blocks of whole lines, however large the file or a line of it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ragdiag.store.disk import disk_faults

BLOCK_BYTES = 8_000_000
LONGEST_LINE = 16_000_000
"""Bytes. No request needs as much; what is longer is passed over without being held."""

HEAD_BYTES = 8_000
"""How much is kept of a line that is passed over."""


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines of a segment, the first of which has the number ``first`` (from 1).

    Lines that cannot be read have a number and a reason in ``unread`` and are empty in ``lines``.
    """

    segment: str
    first: int
    lines: Sequence[bytes]
    unread: Sequence[tuple[int, str, bytes]] = ()

    @property
    def size(self) -> int:
        return sum(map(len, self.lines))


def read_blocks(path: Path) -> Iterator[Block]:
    """The lines of ``path`` in order, at least one block of them; none where another ingester has
    just archived it."""
    with disk_faults(path):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            yield from _blocks(path.name, file)


def _blocks(segment: str, file: BinaryIO) -> Iterator[Block]:
    number, rest, data = 1, b"", b"more"
    while data:
        data = file.read(BLOCK_BYTES)
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        if lines:
            yield _without_long_lines(segment, number, lines)
            number += len(lines)
        if len(rest) > LONGEST_LINE:
            yield Block(segment, number, [b""], [(number, _too_long(), rest[:HEAD_BYTES])])
            number += 1
            rest = _skip_line(file)
    if rest:
        reason = "torn: the writer died within this line"
        yield Block(segment, number, [b""], [(number, reason, rest[:HEAD_BYTES])])
    elif number == 1:
        yield Block(segment, number, [])


def _without_long_lines(segment: str, first: int, lines: list[bytes]) -> Block:
    unread = [
        (number, _too_long(), line[:HEAD_BYTES])
        for number, line in enumerate(lines, start=first)
        if len(line) > LONGEST_LINE
    ]
    for number, _, _ in unread:
        lines[number - first] = b""
    return Block(segment, first, lines, unread)


def _skip_line(file: BinaryIO) -> bytes:
    """Read on to the end of the line; what was read behind it."""
    while data := file.read(BLOCK_BYTES):
        _, newline, rest = data.partition(b"\n")
        if newline:
            return rest
    return b""


def _too_long() -> str:
    return f"longer than {LONGEST_LINE} bytes"
