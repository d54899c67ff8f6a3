"""Traces out of files of spans, however the spans lie in them.

Two passes: the first counts how many rows each trace has, the second reads a trace as soon as its
last row has come. So memory holds the traces that are open at one time, not the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ragdiag.errors import InputError
from ragdiag.importers.logs.containers import read_rows
from ragdiag.importers.logs.formats import Family
from ragdiag.importers.logs.langfuse import LangfuseFormat
from ragdiag.importers.logs.otlp import OtlpFormat
from ragdiag.importers.logs.phoenix import PhoenixFormat
from ragdiag.importers.logs.reading import Reading
from ragdiag.importers.logs.trace_format import Piece, TraceFormat

MAX_OPEN_PIECES = 1_000_000
COUNTING = 0.5
"""The first pass's share of the work."""


def read_traces(
    paths: Sequence[Path], family: Family, pseudonym: Callable[[str], str], unread: Counter[str]
) -> Iterator[tuple[Reading, float]]:
    """A reading for each trace and each reject, with the share of the work done so far.

    ``unread`` counts the rows with names that nothing reads; OTLP's spans may have any.
    Raises InputError where more than a million rows of unfinished traces lie open at once.
    """
    formats: dict[Family, Callable[[], TraceFormat]] = {
        "otlp": lambda: OtlpFormat(pseudonym),
        "phoenix": lambda: PhoenixFormat(pseudonym, unread),
        "langfuse": lambda: LangfuseFormat(pseudonym, unread),
    }
    read = formats[family]()
    awaited = Counter(
        piece.trace_id for piece, _ in _pieces(paths, read, again=False) if isinstance(piece, Piece)
    )
    opened: dict[str, list[Piece]] = {}
    size = 0
    for piece, fraction in _pieces(paths, read, again=True):
        done = COUNTING + (1 - COUNTING) * fraction
        if isinstance(piece, Reading):
            yield piece, done
            continue
        pieces = opened.setdefault(piece.trace_id, [])
        pieces.append(piece)
        size += 1
        if len(pieces) >= awaited[piece.trace_id]:
            size -= len(opened.pop(piece.trace_id))
            for reading in read.read(pieces):
                yield reading, done
        if size > MAX_OPEN_PIECES:
            raise InputError(
                f"the rows of more than {len(opened):,} traces lie scattered over the files",
                remedy="sort the export by trace, or import it in parts",
            )
    for pieces in opened.values():  # a file grew between the passes
        for reading in read.read(pieces):
            yield reading, 1.0
    for reading in read.left_over():
        yield reading, 1.0


def _pieces(
    paths: Sequence[Path], read: TraceFormat, *, again: bool
) -> Iterator[tuple[Piece | Reading, float]]:
    sizes = [max(path.stat().st_size, 1) for path in paths]
    for number, path in enumerate(paths):
        before, share = sum(sizes[:number]) / sum(sizes), sizes[number] / sum(sizes)
        for row, fraction in read_rows(path):
            done = before + share * fraction
            if row.fault is not None:
                yield Reading(row.origin, fault=row.fault), done
                continue
            for piece in read.pieces(row, again=again):
                yield piece, done
