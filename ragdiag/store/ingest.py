"""Loading finished spool segments into the lake, each exactly once, whoever loads it.

Rows, rejects and the ledger entry of a segment commit together; a segment whose name is in the
ledger is never loaded again. Then it moves to ``spool/archive``. Dying between the two only
leaves a loaded segment behind, which the next run moves.

What ``[privacy]`` keeps out is taken out before a record is compared, stored or rejected, and the
archive keeps the lines as they were loaded, not as they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from ragdiag.configuration import read_configuration
from ragdiag.privacy.keys import keyring_for, workspace_keys
from ragdiag.privacy.screening import Screen, open_screen
from ragdiag.records import Reject
from ragdiag.settings import Workspace
from ragdiag.store.archive import archive_turn, put_away
from ragdiag.store.disk import disk_faults
from ragdiag.store.forgotten import REASON, find_forgotten, read_forgotten
from ragdiag.store.kinds import Record, identity, kind_of
from ragdiag.store.lake import Lake
from ragdiag.store.ledger import record_counts
from ragdiag.store.lines import BadLine, parse_line
from ragdiag.store.results import insert_rejects
from ragdiag.store.screening import screen_records
from ragdiag.store.segment_lines import exchange_lines, record_line
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
    exchanged: dict[int, bytes] = field(default_factory=dict)
    """Lines that must not be kept as they came, by their number."""


def ingest(lake: Lake, workspace: Workspace) -> IngestReport:
    """Load every finished segment, those of dead writers included, oldest first.

    Bad lines go to ``rejects`` with segment, line and reason. Of two records with one id the
    first stays; an equal one is passed over, a different one is rejected.
    """
    adopt_orphans(workspace)
    screen = open_screen(workspace)
    # A key that is missing is told before anything is loaded.
    keyring_for(read_configuration(workspace).privacy, "archive")
    report = IngestReport()
    for batch in _batches(sorted(workspace.spool.glob("*.jsonl"), key=_age)):
        parsed = [segment for path in batch if (segment := _parse(path, screen)) is not None]
        report += lake.write(lambda cursor, parsed=parsed: _load(cursor, workspace, parsed))  # type: ignore[misc]
        _put_away(lake, workspace, parsed)
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


def _parse(path: Path, screen: Screen) -> _Parsed | None:
    with disk_faults(path):
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # another ingester has just archived it
            return None
    parsed = _Parsed(path.name)
    lines = content.split(b"\n")
    torn = lines.pop()
    bad: list[tuple[int, str, bytes]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            parsed.records.append((number, line, parse_line(line)))
        except BadLine as problem:
            bad.append((number, str(problem), line))
    if torn:
        bad.append((len(lines) + 1, "torn: the writer died within this line", torn))
    parsed.lines = len(parsed.records) + len(bad)
    _screen(parsed, bad, screen)
    return parsed


def _screen(parsed: _Parsed, bad: list[tuple[int, str, bytes]], screen: Screen) -> None:
    """Put what may be stored in place of what came."""
    screened = screen_records(screen, [record for _, _, record in parsed.records])
    for place, record in enumerate(screened):
        number, _, before = parsed.records[place]
        if record is not before:
            parsed.exchanged[number] = record_line(record)
            parsed.records[place] = number, parsed.exchanged[number], record
    bodies = [line.decode(errors="replace") for _, _, line in bad]
    kept = screen.bodies(bodies)
    reasons = screen.redact([reason for _, reason, _ in bad])
    for (number, _, _), reason, came, body in zip(bad, reasons, bodies, kept, strict=True):
        if body != came:
            parsed.exchanged[number] = body.encode()
        parsed.rejects.append(Reject(parsed.name, number, reason or "", body[:BODY_CHARS]))


def _load(
    cursor: duckdb.DuckDBPyConnection, workspace: Workspace, parsed: Sequence[_Parsed]
) -> IngestReport:
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
    forgotten = read_forgotten(cursor)
    report = IngestReport()
    for segment in fresh:
        rejects = list(segment.rejects)
        new = 0
        gone = _forgotten_lines(workspace, forgotten, segment)
        for number, line, record in segment.records:
            key = identity(record)
            if number in gone:
                rejects.append(Reject(segment.name, number, REASON))
                continue
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


def _forgotten_lines(workspace: Workspace, forgotten: frozenset[str], segment: _Parsed) -> set[int]:
    records = [record for _, _, record in segment.records]
    found = find_forgotten(workspace, forgotten, records)
    return {segment.records[place][0] for place in found}


def _put_away(lake: Lake, workspace: Workspace, parsed: Sequence[_Parsed]) -> None:
    """Archive loaded segments, without what may not be kept, encrypted where it is asked for."""
    seal = keyring_for(read_configuration(workspace).privacy, "archive")
    keys = workspace_keys(workspace)
    with archive_turn(workspace):
        forgotten = frozenset(row["tombstone"] for row in lake.rows("from forgotten"))
        for segment in parsed:
            path = workspace.spool / segment.name
            gone = _forgotten_lines(workspace, forgotten, segment)
            exchange_lines(path, {**segment.exchanged, **dict.fromkeys(gone, b"")}, keys)
            put_away(path, seal, keys)
