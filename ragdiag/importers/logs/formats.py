"""The names of the formats in which logs come."""

from __future__ import annotations

from typing import Literal, get_args

Format = Literal["auto", "jsonl", "parquet", "csv", "otlp", "phoenix", "langfuse", "evaluation"]
"""What ``--format`` may say."""

Family = Literal["rows", "evaluation", "otlp", "phoenix", "langfuse"]
"""How rows are read, whatever file they lie in."""

CONTAINER_FORMATS = ("jsonl", "parquet", "csv")
"""Formats that are rows in that container."""


def family_of(chosen: Format) -> Family | None:
    """What ``--format`` says of the rows; None where they are to be looked at."""
    if chosen in CONTAINER_FORMATS:
        return "rows"
    return chosen if chosen in get_args(Family) else None  # type: ignore[return-value]
