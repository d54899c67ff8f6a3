"""One transaction's worth of arrivals: rows, rejects and the ledger, all or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from ragdiag.records import Reject, Span
from ragdiag.settings import Workspace
from ragdiag.store.intake.arrivals import place_requests
from ragdiag.store.intake.clocks import note_fast_clocks, note_fast_spans
from ragdiag.store.intake.parsing import ARRIVING, Parsed
from ragdiag.store.intake.screened_blocks import forgotten_lines, without_lines
from ragdiag.store.intake.shelves import SHELVES, find_known
from ragdiag.store.intake.turned_away import forget_arriving
from ragdiag.store.kinds import Record, identity
from ragdiag.store.results import insert_rejects
from ragdiag.store.times import now_utc
from ragdiag.store.upkeep.forgotten import add_forgotten, all_forgotten, request_tombstone
from ragdiag.store.upkeep.ledger import record_counts

Cursor = duckdb.DuckDBPyConnection


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


def load_blocks(
    cursor: Cursor,
    workspace: Workspace,
    segments: Sequence[str],
    chunks: Iterable[Sequence[Parsed]],
) -> IngestReport:
    """Load what ``chunks`` hold of those ``segments`` that the ledger does not have yet.

    The chunks are screened already: nothing here or below looks at texts other than to compare
    and store them. Lines of forgotten users are turned away here, within the transaction.
    """
    done = _in_ledger(cursor, segments)
    forgotten = all_forgotten(cursor, workspace)
    lines, rejected = Counter[str](), Counter[str]()
    accepted = Counter[tuple[str, str]]()
    present: set[str] = set()
    for chunk in chunks:
        coming = [parsed for parsed in chunk if parsed.block.segment not in done]
        if not coming:
            continue
        # Before any line is looked at: what hangs on a request may come before it.
        forgotten |= forget_arriving(cursor, workspace, forgotten, _requests(coming))
        fresh = []
        for parsed in coming:
            gone = forgotten_lines(workspace, forgotten, parsed)
            forgotten |= _forget_traces(cursor, workspace, parsed, gone)
            fresh.append(without_lines(parsed, gone))
        present |= {parsed.block.segment for parsed in fresh}
        for parsed in fresh:
            count = parsed.requests.num_rows + len(parsed.records) + len(parsed.rejects)
            lines[parsed.block.segment] += count
        new, conflicts = _store(cursor, fresh)
        rejects = [*(reject for parsed in fresh for reject in parsed.rejects), *conflicts]
        insert_rejects(cursor, rejects)
        accepted += new
        rejected += Counter(reject.source for reject in rejects)
    for segment in segments:
        if segment in present:
            new_rows = sum(n for (name, _), n in accepted.items() if name == segment)
            enter_ledger(cursor, segment, lines[segment], new_rows, rejected[segment])
    record_counts(cursor, accepted)
    repeated = lines.total() - accepted.total() - rejected.total()
    return IngestReport(len(present), accepted.total(), rejected.total(), repeated)


def _forget_traces(
    cursor: Cursor, workspace: Workspace, parsed: Parsed, gone: set[int]
) -> frozenset[str]:
    """Tombstones of the traces of spans that are turned away: a request must not be read from the
    others of the same trace, which come in another block or wait already."""
    traces = {
        one.trace_id for number, one in parsed.records if number in gone and isinstance(one, Span)
    }
    tombstones = frozenset(request_tombstone(workspace, trace_id) for trace_id in traces)
    if tombstones:
        add_forgotten(cursor, tombstones)
    return tombstones


def _in_ledger(cursor: Cursor, segments: Sequence[str]) -> set[str]:
    found = cursor.execute(
        "select segment from segments where segment in (select unnest(?::varchar[]))",
        [list(segments)],
    )
    return {segment for (segment,) in found.fetchall()}


def enter_ledger(cursor: Cursor, segment: str, lines: int, accepted: int, rejected: int) -> None:
    """What became of the lines of a segment, kept so that it is never loaded again."""
    cursor.execute(
        "insert into segments values (?, ?, ?, ?, ?)",
        [segment, lines, accepted, rejected, now_utc()],
    )


def _store(
    cursor: Cursor, fresh: Sequence[Parsed]
) -> tuple[Counter[tuple[str, str]], list[Reject]]:
    """New rows by segment and kind, and the rejects of what differs from the first with its id."""
    accepted = Counter[tuple[str, str]]()
    conflicts = []
    known = find_known(cursor, [record for parsed in fresh for _, record in parsed.records])
    new: dict[str, list[tuple[str, Record]]] = {}
    for parsed in fresh:
        segment = parsed.block.segment
        for number, record in parsed.records:
            kind, key = identity(record)
            first = known.setdefault((kind, key), record)
            if first is record:
                new.setdefault(kind, []).append((segment, record))
                accepted[segment, kind] += 1
            elif first != record:
                conflicts.append((kind, segment, number, key))
    note_fast_spans(
        cursor,
        [
            (parsed.block.segment, number, record)
            for parsed in fresh
            for number, record in parsed.records
            if isinstance(record, Span)
        ],
    )
    for kind, records in new.items():
        SHELVES[kind].add(cursor, records)
    # Last, so that what is said of new requests is counted with them and not by itself.
    table = _requests(fresh)
    note_fast_clocks(cursor, table)
    arrival = place_requests(cursor, table)
    accepted += Counter({(name, "request"): n for name, n in arrival.accepted.items()})
    conflicts += [("request", *conflict) for conflict in arrival.conflicts]
    return accepted, _conflict_rejects(fresh, conflicts)


def _requests(several: Iterable[Parsed]) -> pa.Table:
    return pa.concat_tables([ARRIVING.empty_table(), *(parsed.requests for parsed in several)])


def _conflict_rejects(
    fresh: Sequence[Parsed], conflicts: Iterable[tuple[str, str, int, str]]
) -> list[Reject]:
    def holder(segment: str, line: int) -> Parsed:
        return next(
            parsed for parsed in fresh if parsed.block.segment == segment and line in parsed.numbers
        )

    return [
        holder(segment, line).reject(line, f"another {kind} has the id {key!r}; the first stays")
        for kind, segment, line, key in conflicts
    ]
