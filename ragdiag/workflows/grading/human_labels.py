"""People's labels of answers, read from a file: right or wrong, of requests or of answers that the
file itself brings.

A JSONL line (or a CSV row with the same columns) has ``request_id`` or ``item_id`` and ``label``;
an item brings its ``answer`` and, as far as graders need them, ``question``, ``answers`` (gold),
``context`` and ``citations``. ``propensity`` is the chance with which the line was drawn, as
``grade sample`` writes it. Of several labels of one id the majority holds; a tie is no label. A
line that brings another item under the id of an earlier line is rejected.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ragdiag.errors import InputError
from ragdiag.grading.contract import Item
from ragdiag.importers.jsonl import Identifier, Text, explain, read_lines
from ragdiag.importers.logs.labels import read_label
from ragdiag.importers.logs.mapping import LabelTable
from ragdiag.importers.logs.values import BadValue, read_number
from ragdiag.importers.report import Origin, source_name
from ragdiag.records import ContextPassage, Reject


class LabelRow(BaseModel):
    """One label. Unknown columns are ignored; a text where a list may stand is a list of one."""

    model_config = ConfigDict(frozen=True, strict=True)

    request_id: Identifier | None = None
    item_id: Identifier | None = None
    label: Any
    propensity: Any = None
    question: str = ""
    answer: Text | None = None
    answers: list[Text] | Text = []
    context: list[Text] | Text = []
    citations: list[Text] | Text = []


@dataclass(frozen=True)
class HumanLabels:
    """``labels`` by id, ``items`` those that the file brings, ``tied`` ids without a majority.
    ``chances`` are of ids whose lines tell one; None where they tell several."""

    source: str
    labels: Mapping[str, int]
    items: Mapping[str, Item]
    tied: int
    rejects: tuple[Reject, ...]
    chances: Mapping[str, float | None] = field(default_factory=dict)


def read_labels(path: Path) -> HumanLabels:
    """Read a ``.csv`` or JSONL file. Lines that cannot be used are rejected with their reason.

    Raises InputError where the file cannot be read, or holds no usable label.
    """
    said: dict[str, list[int]] = defaultdict(list)
    items: dict[str, Item] = {}
    chances: dict[str, float | None] = {}
    rejects = []
    for origin, cells in _rows(path):
        try:
            if isinstance(cells, str):
                raise ValueError(cells)
            row = LabelRow.model_validate(cells)
            name, y = _id_of(row), read_label("", row.label, LabelTable())
            if y.y is None:
                raise ValueError(y.reason)
            chance = _chance_of(row)
            if row.item_id is not None:
                _keep_item(items, _item(name, row))
        except ValidationError as error:
            rejects.append(origin.reject(explain(error)))
        except ValueError as error:
            rejects.append(origin.reject(str(error)))
        else:
            said[name].append(y.y)
            if chance is not None:
                chances[name] = chance if chances.get(name, chance) == chance else None
    labels = {
        name: int(sum(ys) * 2 > len(ys)) for name, ys in said.items() if sum(ys) * 2 != len(ys)
    }
    if not labels:
        why = f": {rejects[0].reason} (line {rejects[0].line})" if rejects else ""
        raise InputError(
            f"{path} holds no label{why}", remedy="see docs/grading.md for its columns"
        )
    return HumanLabels(path.name, labels, items, len(said) - len(labels), tuple(rejects), chances)


def _rows(path: Path) -> Iterator[tuple[Origin, dict[str, Any] | str]]:
    """Where each row stood, and its cells, or what is wrong with it."""
    if path.suffix.lower() == ".csv":
        yield from _csv_rows(path)
        return
    for origin, fault in read_lines(path):
        try:
            cells = json.loads(origin.body) if fault is None else fault
        except (ValueError, RecursionError) as error:
            cells = f"not JSON ({error})"
        yield origin, cells if isinstance(cells, (dict, str)) else "not a JSON object"


def _csv_rows(path: Path) -> Iterator[tuple[Origin, dict[str, Any] | str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            for row in reader:
                origin = Origin(source_name(path), reader.line_num, json.dumps(row)[:500])
                if None in row or None in row.values():
                    yield origin, "another number of cells than the header has"
                else:
                    yield origin, {name: cell for name, cell in row.items() if cell}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {path} ({error})", remedy="save it as CSV, UTF-8") from None


def _id_of(row: LabelRow) -> str:
    if (row.request_id is None) == (row.item_id is None):
        raise ValueError("needs a request_id or an item_id, and not both")
    if row.item_id is not None and row.answer is None:
        raise ValueError("an item needs its answer")
    return row.request_id or row.item_id or ""


def _chance_of(row: LabelRow) -> float | None:
    if row.propensity is None:
        return None
    try:
        chance = read_number(row.propensity)
    except BadValue as error:
        raise ValueError(f"propensity: {error}") from None
    if not 0 < chance <= 1:
        raise ValueError(f"propensity {chance:g} is no chance above 0 and up to 1")
    return chance


def _item(name: str, row: LabelRow) -> Item:
    passages = [ContextPassage(f"{name}#{n}", text) for n, text in enumerate(_listed(row.context))]
    return Item(
        name,
        row.question,
        row.answer or "",
        golds=tuple(_listed(row.answers)),
        context=tuple(passages),
        citations=tuple(_listed(row.citations)),
    )


def _keep_item(items: dict[str, Item], item: Item) -> None:
    first = items.setdefault(item.item_id, item)
    told = ((first.answer, item.answer), (first.question, item.question))
    if any(one.strip() != other.strip() for one, other in told if one.strip() and other.strip()):
        raise ValueError(
            f"item_id {item.item_id!r} stands for something else in an earlier line "
            f"(answer {first.answer[:60]!r}): give each answer an item_id of its own"
        )


def _listed(value: list[str] | str) -> list[str]:
    return [value] if isinstance(value, str) else value
