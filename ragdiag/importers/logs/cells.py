"""Cells of a row by their field: read, or a fault that names the field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ragdiag.importers.logs.values import BadValue, read_text

NAMES = ("id", "version", "question_id", "topic", "build")
MAX_NAME_CHARS = 500


class BadField(Exception):
    """A field of the row cannot be read; the message begins with its name."""


def read_cell(field: str, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except BadValue as error:
        raise BadField(f"{field}: {error}") from None


def parse_cell(
    cells: Mapping[str, Any], field: str, read: Callable[[Any], Any], default: Any
) -> Any:
    return read_cell(field, read, cells[field]) if field in cells else default


def text_cell(cells: Mapping[str, Any], field: str) -> str:
    if field not in cells:
        return ""
    text: str = read_cell(field, read_text, cells[field])
    if field in NAMES and len(text) > MAX_NAME_CHARS:
        raise BadField(f"{field}: longer than {MAX_NAME_CHARS} characters")
    return text


def word_cell(cells: Mapping[str, Any], field: str, known: Mapping[str, Any], default: Any) -> Any:
    if field not in cells:
        return default
    said = text_cell(cells, field).strip().lower()
    if said not in known:
        raise BadField(f"{field}: {said[:40]!a} is none of {', '.join(known)}")
    return known[said]
