"""Which column of a row is read as which field: as the mapping says, the rest by their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

from ragdiag.importers.logs import mapping as mappings
from ragdiag.importers.logs.fields import guess_columns
from ragdiag.records import LATENCY_STAGES

_ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class Plan:
    """Field → its columns, stage → its latency column, and the columns that nothing reads."""

    fields: Mapping[str, Sequence[str]]
    latency: Mapping[str, str]
    unread: tuple[str, ...]


class Columns:
    """Reads rows by a mapping; remembers the plan of each set of columns, what was unread, and the
    columns of each field in which a cell was found."""

    def __init__(self, mapping: mappings.Mapping) -> None:
        self._mapping = mapping
        self._plans: dict[tuple[str, ...], Plan] = {}
        self.unread: Counter[str] = Counter()
        self.read: dict[str, Sequence[str]] = {}
        self._found: set[str] = set()
        self._rows = 0

    def rows(self, values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The row, or each of the objects within it that ``[rows] each`` names."""
        each = self._mapping.rows.each
        if not each:
            yield values
            return
        outer = {name: value for name, value in values.items() if name not in each}
        for name in each:
            if isinstance(values.get(name), dict):
                yield {**outer, **values[name]}

    def read_fields(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """(field → cell, stage → latency cell) of what the row has; empty cells are left out."""
        self._rows += 1
        plan = self._plan(tuple(values))
        cells: dict[str, Any] = dict(self._mapping.constants)
        for field, columns in plan.fields.items():
            found = [find(values, column) for column in columns]
            there = [is_there(one) for one in found]
            self._found.update(compress(columns, there))
            if all(there):
                self.read[field] = columns
                cells[field] = found[0] if len(found) == 1 else "/".join(map(str, found))
        for column in plan.unread:
            if is_there(values[column]):
                self.unread[column] += 1
        latency = {}
        for stage, column in plan.latency.items():
            if is_there(cell := find(values, column)):
                self._found.add(column)
                self.read[f"latency.{stage}"] = (column,)
                latency[stage] = cell
        return cells, latency

    def absent(self) -> dict[str, str]:
        """The columns that the mapping names and in which no row had a cell, by field."""
        if not self._rows:
            return {}
        named = _named_fields(self._mapping)
        named |= {f"latency.{s}": (column,) for s, column in _named_latency(self._mapping).items()}
        lacking = {
            field: [column for column in columns if column not in self._found]
            for field, columns in named.items()
        }
        return {field: " / ".join(columns) for field, columns in lacking.items() if columns}

    def _plan(self, columns: tuple[str, ...]) -> Plan:
        if columns not in self._plans:
            if len(self._plans) > 10_000:  # rows that all differ: guess each anew
                self._plans.clear()
            self._plans[columns] = make_plan(columns, self._mapping)
        return self._plans[columns]


def _named_fields(mapping: mappings.Mapping) -> dict[str, Sequence[str]]:
    """Field → the columns that the mapping names for it."""
    return {
        field: (given,) if isinstance(given, str) else tuple(given)
        for field, given in mapping.fields.items()
    }


def _named_latency(mapping: mappings.Mapping) -> dict[str, str]:
    return {stage: column for stage, column in mapping.latency.items() if stage != "unit"}


def make_plan(columns: tuple[str, ...], mapping: mappings.Mapping) -> Plan:
    """What the mapping names is taken; a column it does not name is guessed by its name."""
    named, latency = _named_fields(mapping), _named_latency(mapping)
    tops = {_top(column, columns) for given in named.values() for column in given}
    tops |= {_top(column, columns) for column in latency.values()}
    free = tuple(column for column in columns if column not in tops)
    for column in free:
        stage = _latency_stage(column)
        if stage is not None and stage not in latency:
            latency[stage] = column
    free = tuple(column for column in free if column not in latency.values())
    guessed = {
        field: (column,)
        for field, column in guess_columns(free).items()
        if field not in named and field not in mapping.constants
    }
    used = {column for given in guessed.values() for column in given}
    return Plan(
        {**named, **guessed}, latency, tuple(column for column in free if column not in used)
    )


def find(values: Mapping[str, Any], path: str) -> Any:
    """The value of a column, or at a dotted path into a column's JSON; None where it is not.

    >>> find({"a.b": 1, "a": {"c": [5, 6]}}, "a.b"), find({"a": {"c": [5, 6]}}, "a.c.1")
    (1, 6)
    """
    if path in values:
        return values[path]
    found: Any = values
    for part in path.split("."):
        if isinstance(found, Mapping):
            found = found.get(part, _ABSENT)
        elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return None
        if found is _ABSENT:
            return None
    return found


def _top(column: str, columns: Sequence[str]) -> str:
    return column if column in columns else column.partition(".")[0]


def _latency_stage(column: str) -> str | None:
    name = column.lower().replace(".", "_")
    for stage in LATENCY_STAGES:
        if name in (
            f"{stage}_ms",
            f"latency_{stage}",
            f"latency_ms_{stage}",
            f"{stage}_latency_ms",
        ):
            return stage
    return None


def is_there(value: Any) -> bool:
    """Whether a cell holds anything."""
    return value is not None and value != "" and value == value
