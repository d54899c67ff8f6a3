"""Loading finished spool segments into the lake, each exactly once, whoever loads it.

Rows, rejects and the ledger entry of a segment commit together; a segment whose name is in the
ledger is never loaded again. Then it moves to ``spool/archive``. Dying between the two only
leaves a loaded segment behind, which the next run moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from ragdiag.records import Reject
from ragdiag.settings import Workspace
from ragdiag.store.archive import put_away
from ragdiag.store.disk import disk_faults
from ragdiag.store.kinds import Record, identity, kind_of
from ragdiag.store.lake import Lake
from ragdiag.store.ledger import record_counts
from ragdiag.store.lines import BadLine, parse_line
from ragdiag.store.results import insert_rejects
from ragdiag.store.shelves import SHELVES
from ragdiag.store.spool import adopt_orphans
from ragdiag.store.times import now_utc

BATCH_BYTES = 16_000_000
BODY_CHARS = 2_000
"""How much of a bad line a reject keeps."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """``accepted`` counts new rows; a line that repeats a row exactly counts as neither
    accepted nor rejected but as ``repeated``."""

    segments: int = 0
    accepted: int = 0
    rejected: int = 0
    repeated: int = 0

    def __add__(self, other: IngestReport) -> IngestReport:
        return IngestReport(
            self.segments + other.segments,
            self.accepted + other.accepted,
            self.rejected + other.rejected,
            self.repeated + other.repeated,
        )


@dataclass(slots=True)
class _Parsed:
    """One segment: its records with their line numbers and bodies, and what was no record."""

    name: str
    lines: int = 0
    records: list[tuple[int, bytes, Record]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


def ingest(lake: Lake, workspace: Workspace) -> IngestReport:
    """Load every finished segment, those of dead writers included, oldest first.

    Bad lines go to ``rejects`` with segment, line and reason. Of two records with one id the
    first stays; an equal one is passed over, a different one is rejected.
    """
    adopt_orphans(workspace)
    report = IngestReport()
    for batch in _batches(sorted(workspace.spool.glob("*.jsonl"), key=_age)):
        parsed = [segment for path in batch if (segment := _parse(path)) is not None]
        report += lake.write(lambda cursor, parsed=parsed: _load(cursor, parsed))  # type: ignore[misc]
        for path in batch:
            put_away(path)
    return report


def _age(path: Path) -> tuple[int, str]:
    """Segments end in their opening time; a file of another name comes last."""
    tail = path.stem.rpartition("-")[2]
    return (int(tail) if tail.isdigit() else 2**63, path.name)


def _batches(paths: Iterable[Path]) -> Iterator[list[Path]]:
    """Small segments share a transaction: a commit costs more than their rows."""
    batch: list[Path] = []
    size = 0
    for path in paths:
        with suppress(FileNotFoundError):  # another ingester has just archived it
            size += path.stat().st_size
            batch.append(path)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _parse(path: Path) -> _Parsed | None:
    with disk_faults(path):
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # another ingester has just archived it
            return None
    parsed = _Parsed(path.name)
    lines = content.split(b"\n")
    torn = lines.pop()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            parsed.records.append((number, line, parse_line(line)))
        except BadLine as bad:
            parsed.rejects.append(_reject(path.name, number, str(bad), line))
    if torn:
        parsed.rejects.append(
            _reject(path.name, len(lines) + 1, "torn: the writer died within this line", torn)
        )
    parsed.lines = len(parsed.records) + len(parsed.rejects)
    return parsed


def _load(cursor: duckdb.DuckDBPyConnection, parsed: Sequence[_Parsed]) -> IngestReport:
    """Within one transaction: what the ledger does not have yet, and its ledger entries."""
    names = [segment.name for segment in parsed]
    done = {
        name
        for (name,) in cursor.execute(
            "select segment from segments where segment in (select unnest(?::varchar[]))", [names]
        ).fetchall()
    }
    fresh = [segment for segment in parsed if segment.name not in done]
    known = _known(cursor, (record for segment in fresh for _, _, record in segment.records))
    accepted: dict[str, list[tuple[str, Record]]] = {}
    report = IngestReport()
    for segment in fresh:
        rejects = list(segment.rejects)
        new = 0
        for number, line, record in segment.records:
            key = identity(record)
            first = known.setdefault(key, record)
            if first is record:
                accepted.setdefault(key[0], []).append((segment.name, record))
                new += 1
            elif first != record:
                reason = f"another {key[0]} has the id {key[1]!r}; the first stays"
                rejects.append(_reject(segment.name, number, reason, line))
        insert_rejects(cursor, rejects)
        cursor.execute(
            "insert into segments values (?, ?, ?, ?, ?)",
            [segment.name, segment.lines, new, len(rejects), now_utc()],
        )
        repeated = segment.lines - new - len(rejects)
        report += IngestReport(1, new, len(rejects), repeated)
    for kind, records in accepted.items():
        SHELVES[kind].add(cursor, records)
    record_counts(cursor, accepted)
    return report


def _known(
    cursor: duckdb.DuckDBPyConnection, records: Iterable[Record]
) -> dict[tuple[str, str], Record]:
    """The lake's records that have an identity of ``records``."""
    wanted: dict[str, list[Record]] = {}
    for record in records:
        wanted.setdefault(kind_of(record), []).append(record)
    return {
        identity(record): record
        for kind, given in wanted.items()
        for record in SHELVES[kind].find(cursor, given)
    }


def _reject(segment: str, line: int, reason: str, body: bytes) -> Reject:
    return Reject(segment, line, reason, body[:BODY_CHARS].decode(errors="replace"))
