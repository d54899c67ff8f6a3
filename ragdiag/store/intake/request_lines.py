"""Many lines of requests at once: the fast way, for lines as :class:`SpoolWriter` writes them.

lines.py is the definition. What is read here equals what :func:`parse_line` gives for each line,
field by field; where that is not certain, nothing is read, and the caller parses line by line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from ragdiag.records import LATENCY_STAGES, Request
from ragdiag.store.intake.request_checks import REQUIRED, faults
from ragdiag.store.kinds import HIT_FIELDS, SCHEMA
from ragdiag.store.tables import SCHEMAS

START = b'{"kind": "request", "schema": %d, ' % SCHEMA
BLOCK_BYTES = 1 << 20
"""What one thread reads at a time; a longer line gets a longer block."""

_UTC = r"^[12]\d{3}-\d\d-\d\dT[0-2]\d:[0-5]\d:[0-5]\d(\.\d{1,6})?(\+00:00|Z)$"
_ROW = SCHEMAS["requests"]
_TIMES = ("asked_at", "only_since", "only_until")


def is_plain_request(line: bytes) -> bool:
    """Whether ``line`` begins and ends as one whole request does.

    Since each begins with ``{`` and ends with ``}``, no object can go from one line on to the
    next, so as many objects as lines means one in each.
    """
    return line.startswith(START) and line.endswith(b"}")


def read_request_lines(lines: Sequence[bytes]) -> pa.Table | None:
    """Rows of ``requests`` (without ``rel`` and ``segment``), one for each line in order.

    All ``lines`` must be :func:`is_plain_request`. None where any line is not certain to be good.
    """
    block = b"\n".join(lines)
    if b"\0" in block or b"\\u0000" in block:  # the reader would stop there, the lake has no NUL
        return None
    longest = max(map(len, lines))
    try:
        read = pyarrow.json.read_json(
            pa.BufferReader(block),
            read_options=pyarrow.json.ReadOptions(block_size=max(BLOCK_BYTES, longest + 1)),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=_LINE, unexpected_field_behavior="error"
            ),
        )
        read.validate(full=True)  # pyarrow does not check the encoding itself
    except (pa.ArrowInvalid, UnicodeDecodeError):  # the latter from pyarrow's own message
        return None
    if read.num_rows != len(lines):
        return None
    table = _as_rows(read.combine_chunks())
    return None if table is None or any(faults(table)) else table


def _line_type(name: str) -> pa.DataType:
    if name in HIT_FIELDS:
        fields = _ROW.field(name).type.value_type
        return pa.struct([(field.name, pa.list_(field.type)) for field in fields])
    if name == "latency_ms":
        return pa.struct([(stage, pa.float64()) for stage in LATENCY_STAGES])
    return pa.string() if name in _TIMES else _ROW.field(name).type


_LINE = pa.schema(
    [
        ("kind", pa.string()),
        ("schema", pa.int64()),
        *((name, _line_type(name)) for name in Request.__dataclass_fields__),
    ]
)


def _as_rows(read: pa.Table) -> pa.Table | None:
    """The columns of ``requests``; None where a value is not of the one form known here."""
    columns: dict[str, Any] = {}
    for name in Request.__dataclass_fields__:
        column = read[name].chunk(0)
        if name in REQUIRED and column.null_count:
            return None
        if name in HIT_FIELDS:
            column = _as_hits(column)
        elif name in _TIMES:
            column = _as_time(column)
        elif name == "latency_ms":
            if column.null_count:
                return None
            columns |= {f"{stage}_ms": column.field(stage) for stage in LATENCY_STAGES}
            continue
        if column is None:
            return None
        columns[name] = column
    return pa.table(columns)


def _as_time(column: pa.Array) -> pa.Array | None:
    if pc.any(pc.invert(pc.match_substring_regex(column, _UTC))).as_py():  # null where all are
        return None
    try:
        return column.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return None


def _as_hits(column: pa.Array) -> pa.Array | None:
    """One list of structs from a struct of lists; null stays null."""
    fields = [column.field(i) for i in range(column.type.num_fields)]
    absent = pc.is_null(column)
    first = fields[0]
    for field in fields:
        if field.null_count != column.null_count or not field.offsets.equals(first.offsets):
            return None
    names = [column.type.field(i).name for i in range(column.type.num_fields)]
    hits = pa.StructArray.from_arrays([field.values for field in fields], names=names)
    return pa.ListArray.from_arrays(first.offsets, hits, mask=absent if column.null_count else None)
