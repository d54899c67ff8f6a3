"""A batch of records as spool segments, named by their content, and loaded like any other's.

A segment of an import is ``import-<hash of its lines>.jsonl``, one kind of record each. Since the
ledger knows it by that name, the same batch again is one look-up and changes nothing, and an
import that was interrupted goes on where it stopped. Everything that ingest does to a service's
lines (identity, redaction, the archive) it does to these.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from ragdiag.importers.logs.log_report import KindCounts
from ragdiag.importers.report import Origin
from ragdiag.records import Reject
from ragdiag.settings import Workspace
from ragdiag.store.disk import disk_faults
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.rejects import take_rejects
from ragdiag.store.upkeep.archive import archive_turn
from ragdiag.store.upkeep.ledger import loaded_lines

MAX_SEGMENT_BYTES = 8_000_000
"""Above it a batch is cut into several segments: ingest holds a segment whole."""


@dataclass(frozen=True, slots=True)
class ImportSegment:
    """Lines of one kind and where each came from."""

    kind: str
    name: str
    lines: Sequence[bytes]
    origins: Sequence[Origin]


def make_segments(
    kind: str, lines: Sequence[bytes], origins: Sequence[Origin]
) -> list[ImportSegment]:
    """Cut where MAX_SEGMENT_BYTES are reached; the same lines give the same segments."""
    segments, start, size = [], 0, 0
    for end, line in enumerate(lines, start=1):
        size += len(line)
        if size >= MAX_SEGMENT_BYTES or end == len(lines):
            part = lines[start:end]
            digest = hashlib.sha256(b"".join(part)).hexdigest()[:32]
            segments.append(ImportSegment(kind, f"import-{digest}.jsonl", part, origins[start:end]))
            start, size = end, 0
    return segments


def load_segments(
    lake: Lake, workspace: Workspace, segments: Sequence[ImportSegment]
) -> tuple[dict[str, KindCounts], list[Reject]]:
    """Spool what the ledger does not have, ingest it, and say what became of the lines.

    Rejects stand at the file and line that the record came from.
    """
    before = lake.read(partial(loaded_lines, segments=[one.name for one in segments]))
    fresh = [segment for segment in segments if segment.name not in before]
    for segment in fresh:
        _spool(workspace, segment)
    if fresh:
        ingest(lake, workspace)
    after = lake.read(partial(loaded_lines, segments=[one.name for one in fresh]))
    counts: dict[str, KindCounts] = {}
    for segment in segments:
        _, accepted, rejected = after.get(segment.name) or before[segment.name]
        new = accepted if segment.name in after else 0
        kind = counts.setdefault(segment.kind, KindCounts())
        kind.new += new
        kind.rejected += rejected
        kind.repeated += len(segment.lines) - new - rejected
    refused = {segment.name for segment in fresh if after[segment.name][2]}
    return counts, _moved_rejects(lake, [one for one in fresh if one.name in refused])


def _spool(workspace: Workspace, segment: ImportSegment) -> None:
    """The segment appears whole; a draft that a killed import left is written over.

    By turns: two imports of the same lines would write one draft, and one of them would go on
    writing into what the other had handed over.
    """
    path = workspace.spool / segment.name
    draft = path.with_name(f".{segment.name}")
    with archive_turn(workspace), disk_faults(path):
        with open(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            file.writelines(segment.lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)


def _moved_rejects(lake: Lake, segments: Sequence[ImportSegment]) -> list[Reject]:
    """Ingest's rejects of these segments, put at the lines that the user knows."""
    origins = {
        (segment.name, number): origin
        for segment in segments
        for number, origin in enumerate(segment.origins, start=1)
    }
    if not origins:
        return []

    moved = []
    for reject in take_rejects(lake, [segment.name for segment in segments]):
        origin = origins.get((reject.source, reject.line), Origin(reject.source, reject.line))
        moved.append(replace(reject, source=origin.source, line=origin.line))
    return moved
