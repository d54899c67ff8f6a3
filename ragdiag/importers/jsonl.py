"""Files read line by line: each line is a validated row, or a reject that says why it is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from ragdiag.errors import InputError
from ragdiag.importers.report import Origin, source_name
from ragdiag.records import Reject

MAX_LINE_BYTES = 10_000_000
OVERLONG = f"longer than {MAX_LINE_BYTES} bytes"

RowT = TypeVar("RowT", bound="Row")

MAX_ID_CHARS = 500


def _read_number(value: object) -> object:
    """A whole number as its digits: some files number their ids."""
    return str(value) if type(value) is int else value


def _check_identifier(value: str) -> str:
    if not value.strip():
        raise ValueError("empty")
    if len(value) > MAX_ID_CHARS:
        raise ValueError(f"longer than {MAX_ID_CHARS} characters")
    if value != value.strip() or not value.isprintable():
        raise ValueError("has white space at an end, or a character that cannot be seen")
    return value


def _check_text(value: str) -> str:
    if not value.strip():
        raise ValueError("empty")
    return value


def _check_texts(value: list[str]) -> list[str]:
    if not value:
        raise ValueError("an empty list")
    return value


Identifier = Annotated[str, BeforeValidator(_read_number), AfterValidator(_check_identifier)]
"""What can stand in a column of a file and be read by a person."""

Text = Annotated[str, AfterValidator(_check_text)]
"""At least one visible character; kept as it is."""


Texts = Annotated[list[Text], AfterValidator(_check_texts)]
"""One text or more."""


class Row(BaseModel):
    """One line's content. Types are strict: a number is no text. Unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, strict=True)


@dataclass(frozen=True, slots=True)
class Located(Generic[RowT]):
    """A row and where it stood."""

    row: RowT
    origin: Origin


def read_rows(
    path: Path, model: type[RowT], key: Callable[[RowT], str | None]
) -> tuple[list[Located[RowT]], list[Reject]]:
    """Every line of a JSONL file as ``model``; ``key`` names what may stand in one line only.

    Rejected: bytes that are not UTF-8, lines longer than 10 MB, what is not JSON or not the
    model's, a key that an earlier line has. Raises InputError where the file cannot be read.
    """
    rows: list[Located[RowT]] = []
    rejects: list[Reject] = []
    first_line: dict[str, int] = {}
    for origin, fault in read_lines(path):
        if fault is not None:
            rejects.append(origin.reject(fault))
            continue
        try:
            row = model.model_validate_json(origin.body)
        except ValidationError as error:
            rejects.append(origin.reject(explain(error)))
            continue
        name = key(row)
        earlier = None if name is None else first_line.setdefault(name, origin.line)
        if earlier not in (None, origin.line):
            rejects.append(origin.reject(f"duplicate id {name!r}, first on line {earlier}"))
        else:
            rows.append(Located(row, origin))
    return rows, rejects


def read_lines(path: Path) -> Iterator[tuple[Origin, str | None]]:
    """Lines that hold something, as (origin with the line as its body, fault or None).

    Raises InputError where the file cannot be read.
    """
    source = source_name(path)
    try:
        with path.open("rb") as file:
            for number, raw in bounded_lines(file):
                if raw is None:
                    yield Origin(source, number), OVERLONG
                    continue
                text, fault = decode_line(raw)
                if fault or text.strip():
                    yield Origin(source, number, text), fault
    except OSError as error:
        raise InputError(
            f"cannot read {path} ({error.strerror})", remedy="name a file that can be read"
        ) from None


def bounded_lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their number from 1, without a byte order mark; None for one longer than 10 MB,
    which is passed over without being held."""
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(MAX_LINE_BYTES)
            yield number, None
        else:
            yield number, raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw


def explain(error: ValidationError) -> str:
    """The first fault on one line: where it is and what it is."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    kind, message = first["type"], first["msg"].removeprefix("Value error, ")
    if kind == "json_invalid":
        return f"not JSON ({message.removeprefix('Invalid JSON: ')})"
    if kind == "missing":
        return f"{where} is missing"
    return f"{where}: {message}" if where else message


def decode_line(raw: bytes) -> tuple[str, str | None]:
    """The line's text without its end, and what is wrong with its bytes."""
    try:
        return raw.decode("utf-8").rstrip("\r\n"), None
    except UnicodeDecodeError as error:
        readable = raw.decode("utf-8", errors="replace").rstrip("\r\n")
        return readable, f"not UTF-8 at byte {error.start + 1} of the line"
