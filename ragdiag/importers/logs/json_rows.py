"""Rows of JSON: one object a line, or a document that holds a list of them.

A list is read object by object, so that it may be larger than memory. NaN and Infinity are no JSON
and make their row a reject; so do nesting beyond what Python reads and lines over 10 MB.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn, cast

from ragdiag.importers.jsonl import MAX_LINE_BYTES, OVERLONG, bounded_lines, decode_line
from ragdiag.importers.logs.detect import is_inspector
from ragdiag.importers.logs.files import LogStream, UnreadableFile
from ragdiag.importers.logs.reading import Row
from ragdiag.importers.report import Origin

MAX_DOCUMENT_BYTES = 256_000_000
LIST_KEYS = ("data", "results", "rows", "examples", "records", "spans", "traces", "observations")
"""Where a document that is an object keeps its rows, tried in this order."""
_CHUNK_CHARS = 1 << 20
_SEPARATORS = re.compile(r"[ \t\r\n,]*")


def read_json_lines(stream: LogStream, source: str) -> Iterator[Row]:
    """Every line that holds something."""
    for number, raw in bounded_lines(cast(BinaryIO, io.BufferedReader(stream, 1 << 20))):
        if raw is None:
            yield Row(Origin(source, number), fault=OVERLONG)
            continue
        text, fault = decode_line(raw)
        if fault or text.strip():
            origin = Origin(source, number, text)
            yield Row(origin, fault=fault) if fault else parse_row(text, origin)


def parse_row(text: str, origin: Origin) -> Row:
    """``text`` as an object, or why it is none."""
    try:
        values = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return Row(origin, fault=f"not JSON ({error})")
    if not isinstance(values, dict):
        return Row(origin, fault="not a JSON object")
    return Row(origin, values)


def read_json_document(stream: LogStream, source: str) -> Iterator[Row]:
    """The objects of a list, numbered from 1; an object that holds no list is one row itself.

    JSON lines under the name ``.json`` are read too.
    """
    text = io.TextIOWrapper(
        cast(BinaryIO, io.BufferedReader(stream, 1 << 20)), encoding="utf-8-sig", errors="strict"
    )
    try:
        window = text.read(_CHUNK_CHARS)
        if window.lstrip().startswith("["):
            yield from _read_list(text, window, source)
        else:
            yield from _read_object(text, window, source)
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"not UTF-8 ({error.reason})") from None


def rows_of(document: dict[str, Any], source: str) -> Iterator[Row]:
    """The rows that an object holds, under the first of LIST_KEYS that is a list of objects; an
    InspectorRAGet document stays whole, since its lists refer to each other."""
    for key in () if is_inspector(document) else LIST_KEYS:
        found = document.get(key)
        if isinstance(found, list) and found and all(isinstance(one, dict) for one in found):
            for number, one in enumerate(found, start=1):
                yield Row(Origin(source, number), one)
            return
    yield Row(Origin(source, 1), document)


def _read_list(text: io.TextIOWrapper, window: str, source: str) -> Iterator[Row]:
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    window = window.lstrip()[1:]
    at = number = 0  # the window is cut seldom: a copy for each row is a square of their number
    while True:
        at = _SEPARATORS.match(window, at).end()  # type: ignore[union-attr]
        if window.startswith("]", at):
            return
        try:
            value, end = decoder.raw_decode(window, at)
        except (ValueError, RecursionError) as error:
            if at > 0:
                window, at = window[at:], 0
                continue
            more = text.read(max(_CHUNK_CHARS, len(window)))
            if more and len(window) <= MAX_LINE_BYTES and not isinstance(error, RecursionError):
                window += more
                continue
            raise UnreadableFile(f"not JSON after its row {number} ({error})") from None
        number += 1
        origin = Origin(source, number, window[at : at + 500])
        if isinstance(value, dict):
            yield Row(origin, value)
        else:
            yield Row(origin, fault="not a JSON object")
        at = end
        if len(window) - at < _CHUNK_CHARS // 4 and (more := text.read(_CHUNK_CHARS)):
            window, at = window[at:] + more, 0


def _read_object(text: io.TextIOWrapper, window: str, source: str) -> Iterator[Row]:
    whole = window + text.read(MAX_DOCUMENT_BYTES)
    if len(whole) > MAX_DOCUMENT_BYTES:
        raise UnreadableFile(
            f"one JSON document of more than {MAX_DOCUMENT_BYTES} characters; write JSON lines"
        )
    try:
        document = json.loads(whole, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        lines = whole.split("\n")  # splitlines() also breaks at separators within a text
        if len(lines) < 2 or parse_row(lines[0], Origin(source, 1)).fault:
            raise UnreadableFile(f"not JSON ({error})") from None
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield parse_row(line, Origin(source, number, line))
        return
    if not isinstance(document, dict):
        raise UnreadableFile("neither a JSON object nor a list of them")
    yield from rows_of(document, source)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
