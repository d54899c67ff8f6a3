"""Imports of small logs, and what the workspace holds after them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragdiag.importers.logs.import_logs import import_logs
from ragdiag.importers.logs.log_report import LogReport
from ragdiag.importers.logs.mapping import Mapping as LogMapping
from ragdiag.records import Request
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests

Import = Callable[..., LogReport]
TABLES = (
    "requests",
    "feedback",
    "grades",
    "logged_passages",
    "questions",
    "gold_answers",
    "rejects",
    "segments",
)


@pytest.fixture
def load(lake: Lake, workspace: Workspace) -> Import:
    """``load(path, format=…, **tables of a mapping)`` into a lake of its own."""

    def run(path: Path, *, format: Any = "auto", **mapping: Any) -> LogReport:
        chosen = LogMapping.model_validate(mapping)
        return import_logs(lake, workspace, path, format=format, mapping=chosen)

    return run


@pytest.fixture
def stored(lake: Lake) -> Callable[[], dict[str, Request]]:
    """Every request by its id."""
    return lambda: {request.request_id: request for request in load_requests(lake)}


def contents(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that an import may write."""
    return {table: lake.rows(f"select * from {table} order by all") for table in TABLES}


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """The rows in the container that the name says; a CSV's lists and objects are JSON."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([{n: r.get(n) for n in names} for r in rows]), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(names)
            writer.writerows([[_cell(row.get(name)) for name in names] for row in rows])
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (list, dict, bool)) else value
