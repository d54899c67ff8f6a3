"""Cells as values: a column of CSV is text, one of JSON or Parquet may be anything."""

from __future__ import annotations

import ast
import io
import json
import math
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from ragdiag.importers.logs.mapping import TimeTable
from ragdiag.store.lines import LARGEST_WHOLE
from ragdiag.store.times import to_naive_utc

MAX_PRINTED_CHARS = 1_000_000
_DEPTH = 5
"""Of mappings within a cell, as deep as any format keeps what is read."""
_COMPACT = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}
"""The basic formats of ISO 8601, by the number of their digits."""
_YEARS = range(1970, 2101)
"""Of a number that may be a date as well as an epoch."""
_EPOCH_UNITS = {"epoch_s": 1.0, "epoch_ms": 1e3, "epoch_us": 1e6, "epoch_ns": 1e9}


class BadValue(Exception):
    """Why a cell cannot be read; the message does not name its field."""


@contextmanager
def of_field(name: str) -> Iterator[None]:
    """Say of which field a BadValue within is."""
    try:
        yield
    except BadValue as error:
        raise BadValue(f"{name}: {error}") from None


def without_nan(value: Any, depth: int = _DEPTH) -> Any:
    """None for NaN, which a dataframe writes where a column has a gap, in mappings too.

    >>> without_nan(math.nan), without_nan({"input": 3, "output": math.nan})
    (None, {'input': 3, 'output': None})
    """
    if isinstance(value, Mapping) and depth:
        return {name: without_nan(inner, depth - 1) for name, inner in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def read_text(value: Any) -> str:
    """Text as it is; a number as its digits; chat messages as their last content."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():  # of a column of whole numbers with gaps
        return str(int(value))
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, dict):
        for key in ("content", "text", "question", "query", "answer", "output", "input"):
            if isinstance(value.get(key), str):
                return str(value[key])
    if isinstance(value, list) and value and isinstance(value[-1], dict):
        return read_text(value[-1])
    raise BadValue(f"{type(value).__name__} is no text")


def read_number(value: Any) -> float:
    """A finite number, also from its digits."""
    if isinstance(value, bool):
        raise BadValue("a truth value is no number")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BadValue(f"{_shown(value)} is no number") from None
    except OverflowError:
        raise BadValue("the number is too large") from None
    if not math.isfinite(number):
        raise BadValue(f"{_shown(value)} is not finite")
    return number


def read_milliseconds(value: Any, unit_ms: float) -> float:
    """A duration in milliseconds; a number is in units of ``unit_ms``.

    >>> read_milliseconds("1.5", 1_000), read_milliseconds(timedelta(seconds=2), 1_000)
    (1500.0, 2000.0)
    """
    if isinstance(value, timedelta):
        return value / timedelta(milliseconds=1)
    return read_number(value) * unit_ms


def read_whole(value: Any) -> int:
    """A whole number that the log can hold."""
    number = read_number(value)
    if number != int(number) or not 0 <= number <= LARGEST_WHOLE:
        raise BadValue(f"{_shown(value)} is no whole number from 0 to {LARGEST_WHOLE}")
    return int(number)


def read_truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    said = str(value).strip().lower()
    if said in ("true", "1", "1.0", "yes"):
        return True
    if said in ("false", "0", "0.0", "no", ""):
        return False
    raise BadValue(f"{_shown(value)} is neither true nor false")


def read_time(value: Any, table: TimeTable) -> tuple[datetime, bool]:
    """An aware time, and whether its zone had to be taken from the mapping, or for UTC.

    Numbers are seconds, milliseconds, micro- or nanoseconds since 1970, told apart by size unless
    the mapping says which; one of 8 or 14 digits that makes a date of 1970–2100 is that date, and
    a year alone, as text, is no time. With the format ``iso`` no number is an epoch. A date is its
    midnight.
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    moment = value if isinstance(value, datetime) else _parse_time(value, table.format)
    zoneless = moment.tzinfo is None
    if zoneless:
        moment = moment.replace(tzinfo=ZoneInfo(table.zone) if table.zone else UTC)
    try:
        return to_naive_utc(moment).replace(tzinfo=UTC), zoneless
    except (OverflowError, ValueError):
        raise BadValue(f"{_shown(value)} is beyond the calendar") from None


def read_list(value: Any, separator: str | None = None) -> Sequence[Any]:
    """A list as it is; text split at ``separator``, else read as JSON, else a list of one."""
    if isinstance(value, (list, tuple)):
        return value
    if not isinstance(value, str):
        return [value]
    if separator is not None:
        return [part for part in (one.strip() for one in value.split(separator)) if part]
    found = read_json(value)
    return found if isinstance(found, list) else [found]


def read_json(value: Any) -> Any:
    """What JSON text says, or a list or mapping as Python prints it (a dataframe's CSV); any other
    value, and text that is neither, as it is.

    >>> read_json('["a", 1]'), read_json("['a', None]"), read_json("[1] says so")
    (['a', 1], ['a', None], '[1] says so')
    """
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{", '"')):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return _read_printed(value)


def _read_printed(text: str) -> Any:
    """Raises BadValue for a printed array, whose strings Python would glue together."""
    if not text.rstrip().endswith(("]", "}")) or len(text) > MAX_PRINTED_CHARS:
        return text
    try:
        found = ast.literal_eval(text.strip())
        tokens = [one.type for one in tokenize.generate_tokens(io.StringIO(text.strip()).readline)]
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, tokenize.TokenError):
        return text
    kept = [one for one in tokens if one not in (tokenize.NL, tokenize.COMMENT)]
    if (tokenize.STRING, tokenize.STRING) in pairwise(kept):
        raise BadValue("a printed array without commas; write it as JSON")
    return found


def _parse_time(value: Any, how: str | None) -> datetime:
    text = value.strip() if isinstance(value, str) else value
    try:
        if how in _EPOCH_UNITS:
            return datetime.fromtimestamp(read_number(text) / _EPOCH_UNITS[how], UTC)
        if how not in (None, "iso"):
            return datetime.strptime(text, how)
        if (compact := _compact_date(text, any_year=how == "iso")) is not None:
            return compact
        if isinstance(text, str) and not text.replace(".", "", 1).isdigit():
            return datetime.fromisoformat(text)
        if how == "iso":
            raise BadValue(f"{_shown(value)} is no time of ISO 8601")
        number = read_number(text)
        unit = next((u for u in (1.0, 1e3, 1e6, 1e9) if abs(number) / u < 1e11), 1e9)
        return datetime.fromtimestamp(number / unit, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise BadValue(f"{_shown(value)} is no time") from None


def _compact_date(value: Any, *, any_year: bool) -> datetime | None:
    """A date of ISO 8601's basic format with or without a time; None where ``value`` is none, or
    is of a year before 1970 or after 2100 and not ``any_year`` counts. BadValue for the text of a
    year: as a number it may count seconds."""
    digits = read_text(value)
    if not (digits.isascii() and digits.isdigit()):
        return None
    if isinstance(value, str) and len(digits) == 4 and int(digits) in _YEARS:
        raise BadValue(f"{_shown(value)} is a year alone")
    try:
        moment = datetime.strptime(digits, _COMPACT[len(digits)])
    except (KeyError, ValueError):
        return None
    return moment if any_year or moment.year in _YEARS else None


def _shown(value: Any) -> str:
    try:
        return ascii(value)[:60]
    except RecursionError:  # it was read with a few calls less on the stack
        return "what is nested so deeply"
