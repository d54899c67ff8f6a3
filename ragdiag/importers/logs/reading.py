"""What one row, or one trace, of a foreign log says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ragdiag.importers.report import Origin
from ragdiag.records import GoldAnswer, Question
from ragdiag.store.kinds import Record


@dataclass(frozen=True, slots=True)
class Row:
    """One row as its file has it; ``fault`` says why it is none."""

    origin: Origin
    values: Mapping[str, Any] = field(default_factory=dict)
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The records of one row or trace, or the ``fault`` that makes it a reject.

    ``gold_passages`` are the ids of those that answer ``question``; with ``gold_by_text`` ids made
    from a text are to be exchanged for the one that the text has elsewhere.
    ``timeless``: the source gave no time, so the request has the file's, and keeps the one it was
    first stored with.
    """

    origin: Origin
    records: tuple[Record, ...] = ()
    question: Question | None = None
    gold: GoldAnswer | None = None
    gold_passages: tuple[str, ...] = ()
    gold_by_text: bool = False
    fault: str | None = None
    timeless: bool = False
