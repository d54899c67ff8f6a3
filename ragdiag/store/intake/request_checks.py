"""What a row of ``requests`` must keep to, for a whole table at once.

The same rules as of one record in lines.py; a row that breaks one is named there in words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragdiag.records import LARGEST_COST, LATENCY_STAGES, Status, Traffic
from ragdiag.store.kinds import HIT_FIELDS

NAMED = ("request_id", "version_id", "question")
"""Columns that must say something."""

REQUIRED = (
    *NAMED,
    *("asked_at", "traffic", "build_id", "topic", "answer", "citations", "status"),
    *("cache_hit", "fused", "context", "searched_depth", "keep_probability"),
)
_CHOICES = {"traffic": get_args(Traffic), "status": get_args(Status)}
_NOT_NEGATIVE = (
    *("prompt_tokens", "completion_tokens", "searched_depth", "logged_depth", "cost_usd"),
    *(f"{stage}_ms" for stage in LATENCY_STAGES),
)
_VISIBLE = r"[!-~\pL\pN]"
"""What no notion of white space covers."""

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


def faults(table: pa.Table) -> Iterator[tuple[str, Mask]]:
    """Each rule that some row breaks, in words, and which rows; nothing where all is well.

    ``table`` has the columns of ``requests`` with their types in tables.py.
    """
    for name, mask in _checks(table):
        if mask.any():
            yield name, mask


def _checks(table: pa.Table) -> Iterator[tuple[str, Mask]]:
    for name in REQUIRED:
        yield f"{name} is missing", _mask(pc.is_null(table[name]))
    for name in NAMED:
        yield f"{name} is empty", _blank(table[name])
    for name, choices in _CHOICES.items():
        known = pc.is_in(table[name], value_set=pa.array(choices))
        yield f"{name} is none of {', '.join(choices)}", ~_mask(known)
    for name in _NOT_NEGATIVE:
        column = table[name]
        bad = pc.less(column, 0)
        if pa.types.is_floating(column.type):
            most = LARGEST_COST if name == "cost_usd" else sys.float_info.max
            fits = pc.less_equal(column, most)  # false for NaN
            bad = pc.or_(bad, pc.invert(fits))
        yield f"{name} is negative or out of range", _mask(bad)
    share = table["keep_probability"]
    likely = pc.and_(pc.greater(share, 0), pc.less_equal(share, 1))  # false for NaN
    yield "keep_probability is not in (0, 1]", ~_mask(likely)
    for name in table.column_names:
        if pa.types.is_string(table.schema.field(name).type):
            yield f"{name} holds a NUL, which the lake cannot keep", _mask(_nul(table[name]))
    for name in ("citations", "roles", "only_topics"):
        yield f"{name}: an id is missing or holds a NUL", _rows_of(table[name], _nul)
    for name, fields in HIT_FIELDS.items():
        yield f"{name}: a hit is missing", _rows_of(table[name], pc.is_null)
        for field in fields:
            yield (
                f"{name}.{field} is empty or out of range",
                _rows_of(table[name], _BAD_FIELD[field], field),
            )


def _nul(texts: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    return pc.match_substring(texts, "\0")


def _no_id(ids: pa.Array) -> pa.Array:
    return pc.or_(pc.equal(pc.binary_length(ids), 0), _nul(ids))


def _no_score(scores: pa.Array) -> pa.Array:
    return pc.invert(pc.is_finite(scores))


def _no_count(counts: pa.Array) -> pa.Array:
    return pc.less(counts, 0)


_BAD_FIELD = {"passage_id": _no_id, "score": _no_score, "chars": _no_count}


def _rows_of(column: pa.ChunkedArray, is_bad: object, field: str | None = None) -> Mask:
    """Rows whose list has an item (or a field of one) that ``is_bad`` or is null."""
    flat = pc.list_flatten(column)
    if field is not None:
        flat = pc.struct_field(flat, field)
    bad = _mask(pc.fill_null(is_bad(flat), True))  # type: ignore[operator]
    mask = np.zeros(len(column), dtype=bool)
    if bad.any():
        mask[pc.list_parent_indices(column).to_numpy()[bad]] = True
    return mask


def _blank(column: pa.ChunkedArray) -> Mask:
    """Rows whose text is white space only, as ``str.strip`` sees it."""
    mask = ~_mask(pc.match_substring_regex(column, _VISIBLE))
    for row in np.flatnonzero(mask):
        text = column[int(row)].as_py()
        mask[row] = text is not None and not text.strip()
    return mask


def _mask(values: pa.ChunkedArray | pa.Array) -> Mask:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), dtype=bool)
