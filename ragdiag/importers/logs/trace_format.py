"""What a format of traces must say: which trace a row belongs to, and what a whole trace says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ragdiag.importers.logs.columns import is_there
from ragdiag.importers.logs.reading import Reading, Row
from ragdiag.importers.report import Origin
from ragdiag.records import Span
from ragdiag.spans.traces import TraceRecords, read_trace
from ragdiag.store.kinds import Record


@dataclass(frozen=True, slots=True)
class Piece:
    """One row's part of a trace: a span, or what the format makes of the row."""

    trace_id: str
    origin: Origin
    content: Any


class TraceFormat(Protocol):
    def pieces(self, row: Row, *, again: bool) -> Iterable[Piece | Reading]:
        """The parts in a row, or its rejects; called for every row, then for each ``again``."""
        ...

    def read(self, pieces: Sequence[Piece]) -> Iterator[Reading]:
        """All parts of one trace as its records and rejects."""
        ...

    def left_over(self) -> Iterator[Reading]:
        """Rejects of what belonged to no trace."""
        ...


def read_spans(
    spans: Sequence[Span],
    origin: Origin,
    user_key: Callable[[str], str],
    more: Sequence[Record] = (),
) -> Iterator[Reading]:
    """The records of one trace's spans and ``more`` about it, as one reading, and its rejects."""
    found = read_trace(spans, user_key=user_key) if spans else TraceRecords()
    records = (*found.requests, *found.passages, *found.feedback, *found.grades, *more)
    if records:
        yield Reading(origin, records)
    for reject in found.rejects:
        yield Reading(origin, fault=f"{reject.source}: {reject.reason}")


def short(origin: Origin) -> Origin:
    """Without most of its body: open traces hold many."""
    return Origin(origin.source, origin.line, origin.body[:200])


def count_unread(
    unread: Counter[str], values: Mapping[str, Any], is_read: Callable[[str], bool]
) -> None:
    """Count what a row has under names that nothing reads, as tables do."""
    unread.update(name for name, one in values.items() if is_there(one) and not is_read(name))
