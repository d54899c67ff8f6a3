"""Requests that come as an Arrow table, not as lines: imports and bulk loads."""

from __future__ import annotations

import time

import duckdb
import numpy as np
import pyarrow as pa

from ragdiag.errors import InputError
from ragdiag.privacy.screening import open_screen
from ragdiag.records import Reject
from ragdiag.settings import Workspace
from ragdiag.store.intake.arrivals import place_requests
from ragdiag.store.intake.clocks import note_fast_clocks
from ragdiag.store.intake.loading import IngestReport, enter_ledger
from ragdiag.store.intake.parsing import ARRIVING
from ragdiag.store.intake.request_checks import REQUIRED, faults
from ragdiag.store.intake.screened_blocks import find_forgotten_requests
from ragdiag.store.intake.screening import screen_requests
from ragdiag.store.intake.turned_away import forget_arriving
from ragdiag.store.lake import Lake
from ragdiag.store.results import insert_rejects
from ragdiag.store.upkeep.forgotten import REASON, all_forgotten
from ragdiag.store.upkeep.ledger import record_counts

CERTAIN = "keep_probability"
"""1 where nobody says otherwise: everything was logged."""

ROWS = 100_000
"""Of one transaction."""

COLUMNS = pa.schema([field for field in ARRIVING if field.name not in ("segment", "line")])
"""What ``ingest_table`` takes: a request's columns as the lake has them; times are naive UTC."""


def ingest_table(lake: Lake, table: pa.Table, source: str) -> IngestReport:
    """Load requests from ``table``, whose columns are some of COLUMNS, in their types.

    As from the spool: a row that breaks a rule is rejected with ``source``, its number (from 1)
    and the reason, and of two requests with one id the first stays. A column that is left out is
    null. Each ROWS rows are one transaction and one entry in the ledger of segments.
    Raises InputError for a column that is unknown, missing though required, or of another type.
    """
    rows = screen_requests(open_screen(lake.workspace), _shaped(table))
    report = IngestReport()
    for start in range(0, rows.num_rows, ROWS):
        segment = f"{source}#{start + 1}-{time.time_ns()}"
        part = rows.slice(start, ROWS)
        numbers = pa.array(np.arange(start + 1, start + part.num_rows + 1))
        arriving = part.append_column("segment", pa.repeat(segment, part.num_rows))
        arriving = arriving.append_column("line", numbers).select(ARRIVING.names)
        report += lake.write(
            lambda cursor, given=arriving: _load(cursor, lake.workspace, given, source)  # type: ignore[misc]
        )
    return report


def _load(
    cursor: duckdb.DuckDBPyConnection, workspace: Workspace, arriving: pa.Table, source: str
) -> IngestReport:
    bad = np.zeros(arriving.num_rows, dtype=bool)
    rejects = []
    lines = arriving["line"].to_numpy()
    for reason, mask in faults(arriving):
        for row in np.flatnonzero(mask & ~bad):
            body = ascii(arriving["request_id"][int(row)].as_py())[:500]
            rejects.append(Reject(source, int(lines[row]), reason, body))
        bad |= mask
    if forgotten := all_forgotten(cursor, workspace):
        forget_arriving(cursor, workspace, forgotten, arriving.filter(pa.array(~bad)))
        gone = find_forgotten_requests(workspace, forgotten, arriving)
        gone = gone.to_numpy(zero_copy_only=False) & ~bad
        rejects += [Reject(source, int(line), REASON) for line in lines[gone]]
        bad |= gone
    good = arriving.filter(pa.array(~bad)) if bad.any() else arriving
    note_fast_clocks(cursor, good)
    arrival = place_requests(cursor, good)
    for _, line, key in arrival.conflicts:
        reason = f"another request has the id {key!r}; the first stays"
        rejects.append(Reject(source, line, reason, ascii(key)[:500]))
    insert_rejects(cursor, rejects)
    new = arrival.accepted.total()
    segment = arriving["segment"][0].as_py()
    enter_ledger(cursor, segment, arriving.num_rows, new, len(rejects))
    record_counts(cursor, {(segment, "request"): new})
    return IngestReport(1, new, len(rejects), arriving.num_rows - new - len(rejects))


def _shaped(table: pa.Table) -> pa.Table:
    """``table`` with all of COLUMNS, in order."""
    remedy = f"give a table with some of: {', '.join(COLUMNS.names)}"
    unknown = sorted(set(table.column_names) - set(COLUMNS.names))
    if unknown:
        raise InputError(f"requests have no column {unknown[0]!r}", remedy=remedy)
    if CERTAIN not in table.column_names:
        table = table.append_column(CERTAIN, pa.repeat(1.0, table.num_rows))
    missing = [name for name in REQUIRED if name not in table.column_names]
    if missing:
        raise InputError(f"requests need the column {missing[0]!r}", remedy=remedy)
    columns = []
    for field in COLUMNS:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        try:
            columns.append(table[field.name].cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(
                f"the column {field.name!r} is no {field.type} ({error})", remedy=remedy
            ) from None
    shaped = pa.table(columns, schema=COLUMNS)
    try:
        shaped.validate(full=True)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise InputError(f"the table is damaged ({error})", remedy="write it again") from None
    return shaped
