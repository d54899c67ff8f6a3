"""Tables of requests: our own lines, rows by their columns' names, evaluation results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ragdiag.importers.logs.columns import Columns
from ragdiag.importers.logs.containers import read_rows
from ragdiag.importers.logs.detect import is_inspector
from ragdiag.importers.logs.formats import Family
from ragdiag.importers.logs.inspector import inspector_rows
from ragdiag.importers.logs.mapping import Mapping as LogMapping
from ragdiag.importers.logs.reading import Reading, Row
from ragdiag.importers.logs.row_records import RowReader
from ragdiag.privacy.pseudonyms import stored_user
from ragdiag.records import Request, Traffic
from ragdiag.store.lines import BadLine, parse_line


@dataclass(frozen=True, slots=True)
class Table:
    """The readings of one file, and the reader that counts while they are taken."""

    readings: Iterator[tuple[Reading, float]]
    reader: RowReader


def read_table(
    path: Path,
    container: str | None,
    family: Family,
    mapping: LogMapping,
    columns: Columns,
    pseudonym: Callable[[str], str],
) -> Table:
    """A line of our own spool is read as it stands, its user as a pseudonym; any other row by its
    columns."""
    evaluation = family == "evaluation"
    at = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    traffic: Traffic = "evaluation" if evaluation else "production"
    reader = RowReader(mapping, traffic, at, pseudonym, columns.unread)

    def readings() -> Iterator[tuple[Reading, float]]:
        for row, fraction in read_rows(path, container):
            if _is_own(row):
                yield _own_line(row, pseudonym), fraction
                continue
            for reading in _read(row, reader, columns, evaluation):
                yield reading, fraction

    return Table(readings(), reader)


def _read(row: Row, reader: RowReader, columns: Columns, evaluation: bool) -> Iterator[Reading]:
    if row.fault is not None:
        yield Reading(row.origin, fault=row.fault)
    elif is_inspector(row.values):
        for inner in inspector_rows(row.values, row.origin.source):
            yield from _read(inner, reader, columns, evaluation)
    else:
        found = False
        for values in columns.rows(row.values):
            found = True
            cells, latency = columns.read_fields(values)
            yield reader.read(_as_evaluation(cells) if evaluation else cells, latency, row.origin)
        if not found:
            yield Reading(row.origin, fault="none of the mapping's [rows] each is an object here")


def _is_own(row: Row) -> bool:
    return row.fault is None and "kind" in row.values and "schema" in row.values


def _own_line(row: Row, pseudonym: Callable[[str], str]) -> Reading:
    try:
        record = parse_line(json.dumps(row.values).encode())
    except BadLine as bad:
        return Reading(row.origin, fault=str(bad))
    if isinstance(record, Request):
        record = replace(record, user_key=stored_user(record.user_key, pseudonym))
    return Reading(row.origin, (record,))


def _as_evaluation(cells: Mapping[str, Any]) -> Mapping[str, Any]:
    """An evaluation's id names the example, which several systems answer."""
    if "id" not in cells:
        return cells
    named = {**cells, "question_id": cells.get("question_id", cells["id"])}
    del named["id"]
    return named
