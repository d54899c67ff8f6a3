"""Blocks of lines as what is stored: requests as one Arrow table, other kinds as records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from ragdiag.records import Reject, Request
from ragdiag.store.intake.blocks import Block
from ragdiag.store.intake.request_lines import is_plain_request, read_request_lines
from ragdiag.store.kinds import Record
from ragdiag.store.lines import BadLine, RefusedLine, parse_line
from ragdiag.store.rows import request_row
from ragdiag.store.tables import SCHEMAS

BODY_CHARS = 2_000
"""How much of a bad line a reject keeps."""

_WHOSE = tuple(
    re.compile(rf'"{name}"\s*:\s*"[^"\\]*"') for name in ("user_key", "request_id", "trace_id")
)

FEW = 32
"""So many lines are not worth another attempt at reading them at once."""

DERIVED = ("rel", "certain")
"""Columns of ``requests`` that are made here, of what else is known."""

ARRIVING = pa.schema(
    [
        *(field for field in SCHEMAS["requests"] if field.name not in DERIVED),
        pa.field("line", pa.int64()),
    ]
)
"""Requests on their way into the lake: which segment and line each came in."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a block holds: ``requests`` has the columns of ARRIVING in the order of the lines.

    ``exchanged`` are lines that must not be kept as they came, by their number; ``refused`` are
    those rejects whose lines tell what their writer turned away: number → trace id.
    """

    block: Block
    requests: pa.Table
    records: Sequence[tuple[int, Record]]
    rejects: Sequence[Reject]
    exchanged: Mapping[int, bytes] = field(default_factory=dict)
    refused: Mapping[int, str] = field(default_factory=dict)

    @property
    def numbers(self) -> range:
        """Of its lines."""
        return range(self.block.first, self.block.first + len(self.block.lines))

    def reject(self, line: int, reason: str) -> Reject:
        body = self.block.lines[line - self.block.first]
        return reject_line(self.block.segment, line, reason, body)


def parse_block(block: Block) -> Parsed:
    """Every line of ``block`` as a row, a record or a reject, as :func:`parse_line` has it."""
    rejects = [reject_line(block.segment, *bad) for bad in block.unread]
    fast, slow = [], []
    for number, line in enumerate(block.lines, start=block.first):
        if is_plain_request(line):
            fast.append((number, line))
        elif line and not line.isspace():
            slow.append((number, line))
    tables = _read(block.segment, fast, slow)
    records: list[tuple[int, Record]] = []
    refused: dict[int, str] = {}
    rows = []
    for number, line in sorted(slow):
        try:
            record = parse_line(line)
        except RefusedLine as told:
            refused[number] = told.trace_id
            rejects.append(Reject(block.segment, number, str(told), told.excerpt))
            continue
        except BadLine as bad:
            rejects.append(reject_line(block.segment, number, str(bad), line))
            continue
        if isinstance(record, Request):
            rows.append({**request_row(record, None, block.segment), "line": number})
        else:
            records.append((number, record))
    tables.append(pa.Table.from_pylist(rows, schema=ARRIVING))
    table = pa.concat_tables(tables)
    if rows and len(rows) < table.num_rows:
        table = table.sort_by("line")
    return Parsed(block, table, records, rejects, refused=refused)


def reject_line(segment: str, line: int, reason: str, body: bytes) -> Reject:
    return Reject(segment, line, reason, cut_body(body.decode(errors="replace")))


def cut_body(body: str) -> str:
    """What a reject keeps of a bad line. Of one that is cut, whose it is comes first, so that
    forgetting finds it.

    >>> cut_body('{"question": "' + "y" * 3_000 + '", "user_key": "0f"}')[:33]
    '{"user_key": "0f", "question": "y'
    """
    if len(body) > BODY_CHARS and body.lstrip().startswith("{"):
        whose = [found for name in _WHOSE for found in name.findall(body)]
        body = "{" + "".join(f"{one}, " for one in whose) + body.lstrip()[1:]
    return body[:BODY_CHARS]


def _read(
    segment: str, fast: list[tuple[int, bytes]], slow: list[tuple[int, bytes]]
) -> list[pa.Table]:
    """Tables of the ``fast`` lines; those around a bad one are added to ``slow`` instead.

    A bad line is closed in on by halves, so that it slows down only its neighbours.
    """
    if not fast:
        return []
    table = read_request_lines([line for _, line in fast])
    if table is not None:
        origin = {
            "segment": pa.repeat(segment, table.num_rows),
            "line": pa.array([number for number, _ in fast], pa.int64()),
        }
        for name, column in origin.items():
            table = table.append_column(name, column)
        return [table.select(ARRIVING.names).cast(ARRIVING)]
    if len(fast) <= FEW:
        slow += fast
        return []
    middle = len(fast) // 2
    return _read(segment, fast[:middle], slow) + _read(segment, fast[middle:], slow)
