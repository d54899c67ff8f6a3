"""What a line of a corpus says of a document beside its text: ``metadata`` in BEIR's own place.

    {"tenant"?, "topic"?, "published_at"?: ISO 8601, "roles"?: [one or more]}

A time without an offset is UTC, a date its first moment. Other keys are ignored; one of these that
cannot be used makes the line a reject, for passages must not become everybody's by a slip.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from ragdiag.importers.jsonl import Identifier, Row
from ragdiag.records import NO_METADATA, PassageMetadata


def _read_time(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("not an ISO 8601 time")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value[:40]!r} is not an ISO 8601 time") from None
    try:
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{value[:40]!r} lies beyond the years that can be kept") from None


def _check_roles(value: list[str]) -> list[str]:
    if not value:
        raise ValueError("an empty list, which would be for nobody; leave it out for everybody")
    return sorted(set(value))


Moment = Annotated[datetime, BeforeValidator(_read_time)]
Roles = Annotated[list[Identifier], AfterValidator(_check_roles)]


class MetadataRow(Row):
    tenant: Identifier | None = None
    topic: Identifier | None = None
    published_at: Moment | None = None
    roles: Roles | None = None


def read_metadata(row: MetadataRow | None) -> PassageMetadata:
    """The record of a line's ``metadata``; without one, nothing is known."""
    if row is None:
        return NO_METADATA
    return PassageMetadata(
        row.tenant or "", row.topic or "", row.published_at, tuple(row.roles or ())
    )
