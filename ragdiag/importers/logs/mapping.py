"""A mapping file: which of their columns is which of our fields, and how values are written.

    [fields]                     # our field = their column, a dotted path into JSON, or a list of
    question = "user_input"      # columns whose values are joined by "/"
    question_id = ["dataset", "query_id"]
    [constants]                  # our field = one value for every row
    version = "assistant-7"
    [time]
    format = "%d/%m/%Y %H:%M"    # or "iso", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"
    zone = "Europe/Berlin"       # for times that name no zone
    [lists]                      # how a list is written into a text cell
    contexts = " ||| "           # a separator; without one, JSON
    [latency]                    # stage = column
    total = "elapsed"
    dense = "t_dense"
    unit = "s"                   # or "ms"
    [label]                      # what the label says of the answer
    threshold = 0.5              # a number from here on is right
    correct = ["good"]           # words beside the known ones
    incorrect = ["bad"]
    grader = "label"
    [rows]
    each = ["model1", "model2"]  # objects within a row: each is a row, with the row's other fields

Every table may be left out: columns that no table names are guessed by their names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping as MappingType
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ragdiag.errors import InputError
from ragdiag.importers.logs.fields import ALIASES, LIST_FIELDS
from ragdiag.records import LATENCY_STAGES

MAX_MAPPING_BYTES = 1_000_000
Column = Annotated[str, Field(min_length=1, max_length=500)]
Columns = Column | Annotated[list[Column], Field(min_length=1, max_length=10)]
Constant = str | int | float | bool
LATENCY_KEYS = (*LATENCY_STAGES, "unit")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TimeTable(_Table):
    format: str | None = None
    zone: str | None = None

    @field_validator("zone")
    @classmethod
    def _is_known(cls, zone: str | None) -> str | None:
        try:
            if zone is not None:
                ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no time zone, such as Europe/Berlin or UTC") from None
        return zone

    @field_validator("format")
    @classmethod
    def _is_a_format(cls, text: str | None) -> str | None:
        named = text in (None, "iso", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
        if not named and "%" not in (text or ""):
            raise ValueError(f"{text!r} is neither a strptime format nor iso nor epoch_…")
        return text


class LabelTable(_Table):
    threshold: float | None = Field(default=None, allow_inf_nan=False)
    correct: tuple[str, ...] = ()
    incorrect: tuple[str, ...] = ()
    grader: Annotated[str, Field(min_length=1, max_length=100)] = "label"


class RowsTable(_Table):
    each: tuple[Column, ...] = ()


class Mapping(_Table):
    """A validated mapping; the empty one guesses everything."""

    fields: dict[str, Columns] = Field(default_factory=dict)
    constants: dict[str, Constant] = Field(default_factory=dict)
    time: TimeTable = TimeTable()
    lists: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    latency: dict[str, Column] = Field(default_factory=dict)
    label: LabelTable = LabelTable()
    rows: RowsTable = RowsTable()

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Self:
        tables: tuple[tuple[str, MappingType[str, object], Any], ...] = (
            ("fields", self.fields, ALIASES),
            ("constants", self.constants, ALIASES),
            ("lists", self.lists, LIST_FIELDS),
            ("latency", self.latency, LATENCY_KEYS),
        )
        for table, given, known in tables:
            for name in given:
                if name not in known:
                    raise ValueError(f"{table}.{name} is no field; there are: {', '.join(known)}")
        both = sorted(set(self.fields) & set(self.constants))
        if both:
            raise ValueError(f"{both[0]} is both a column and a constant")
        if self.latency.get("unit", "ms") not in ("ms", "s"):
            raise ValueError('latency.unit is neither "ms" nor "s"')
        return self

    @property
    def latency_unit(self) -> Literal["ms", "s"]:
        return "s" if self.latency.get("unit") == "s" else "ms"


def read_mapping(path: Path) -> Mapping:
    """Raises InputError that names the file, the key and what is wrong with it."""
    try:
        if path.stat().st_size > MAX_MAPPING_BYTES:
            raise InputError(f"{path} is too large for a mapping", remedy="name a TOML mapping")
        text = path.read_text(encoding="utf-8")
        return Mapping.model_validate(tomllib.loads(text))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} ({error})", remedy="name a TOML mapping") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML ({error})", remedy="mend that line") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise InputError(
            f"{path}: {where + ': ' if where else ''}{what}", remedy="see docs/import.md"
        ) from None
