"""From spans that wait to requests: each trace once, whoever reads it, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import partial

import duckdb

from ragdiag.errors import RagdiagError
from ragdiag.privacy.pseudonyms import read_user
from ragdiag.records import Reject, Span
from ragdiag.settings import Workspace
from ragdiag.spans.feedback import read_opinions
from ragdiag.spans.sources import trace_source
from ragdiag.spans.traces import TraceRecords, read_results, read_trace
from ragdiag.store.intake.admission import admit
from ragdiag.store.intake.staging import (
    REMEMBERED,
    assembled_spans,
    finish_traces,
    forget_traces,
    ready_traces,
    staged_spans,
)
from ragdiag.store.kinds import Record
from ragdiag.store.lake import Lake
from ragdiag.store.results import insert_rejects
from ragdiag.store.times import now_utc
from ragdiag.store.upkeep.durability import synced

SETTLE_S = 10.0
"""How long nothing must have come of a trace that has its root."""
ORPHAN_S = 600.0
"""How long nothing must have come of a trace before it is read without its root."""
BATCH_SPANS = 5_000
"""Of one transaction, unless one trace has more: what is in memory at once."""
MAX_SPANS = 10_000
"""Of one trace that are read: its earliest."""

LATE = "the span came after its trace had been read as a request"

_log = logging.getLogger(__name__)

UserKey = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class AssemblyReport:
    """``traces`` were read; ``requests`` and ``records`` are new, requests among the records."""

    traces: int = 0
    requests: int = 0
    records: int = 0
    rejected: int = 0

    def __add__(self, other: AssemblyReport) -> AssemblyReport:
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(AssemblyReport))
        return AssemblyReport(*(mine + theirs for mine, theirs in pairs))


def assemble_traces(
    lake: Lake,
    *,
    settle_s: float = SETTLE_S,
    orphan_s: float = ORPHAN_S,
    now: datetime | None = None,
) -> AssemblyReport:
    """Read every trace that is complete or given up on, and store what it tells.

    ``now`` is naive UTC. Of a trace that was read before, only results count; its other spans are
    rejects, and those it was read from are passed over. Several processes may do this at once: a
    trace is read by the transaction that takes its spans away. Raises StoreError.
    """
    moment = now or now_utc()
    report = AssemblyReport()
    name_user = partial(read_user, lake.workspace)
    while trace_ids := ready_traces(
        lake,
        settled_before=moment - timedelta(seconds=settle_s),
        orphaned_before=moment - timedelta(seconds=orphan_s),
        spans=BATCH_SPANS,
    ):
        with synced(lake):
            report += lake.write(
                lambda cursor, ids=trace_ids: _assemble(  # type: ignore[misc]
                    cursor, lake.workspace, ids, name_user
                )
            )
    forget_traces(lake, moment - REMEMBERED)
    return report


def _assemble(
    cursor: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    trace_ids: Sequence[str],
    name_user: UserKey,
) -> AssemblyReport:
    staged = staged_spans(cursor, trace_ids, MAX_SPANS)
    known = assembled_spans(cursor, list(staged))
    read_whole = partial(read_trace, user_key=name_user)
    records: list[tuple[str, Record]] = []
    rejects: list[Reject] = []
    read: dict[str, list[str]] = {}
    for trace_id, (spans, count) in staged.items():
        fresh = [span for span in spans if span.span_id not in known.get(trace_id, ())]
        late = trace_id in known
        source = trace_source(trace_id)
        told = _guarded(_read_late if late else read_whole, source, fresh)
        if count > len(spans):
            reason = f"{count - len(spans)} spans beyond the first {MAX_SPANS} were not read"
            rejects.append(Reject(source, 0, reason))
        rejects += told.rejects
        whole: list[Record] = [*told.requests, *told.feedback, *told.grades, *told.passages]
        records += [(source, record) for record in whole]
        if told.requests or told.grades or told.feedback or late:
            read[trace_id] = [span.span_id for span in fresh]
    new, conflicts = admit(cursor, workspace, records)
    insert_rejects(cursor, [*rejects, *conflicts])
    finish_traces(cursor, read, staged)
    refused = len(rejects) + len(conflicts)
    return AssemblyReport(len(staged), new["request"], new.total(), refused)


def _guarded(
    read: Callable[[Sequence[Span]], TraceRecords], source: str, spans: Sequence[Span]
) -> TraceRecords:
    """A trace that trips a defect of ours is a reject: the traces behind it must not wait for
    ever."""
    try:
        return read(spans)
    except RagdiagError:
        raise
    except Exception as error:
        _log.exception("%s could not be read", source)
        reason = f"a defect of ragdiag: the trace cannot be read ({type(error).__name__}: {error})"
        return TraceRecords(rejects=(Reject(source, 0, reason),))


def _read_late(spans: Sequence[Span]) -> TraceRecords:
    """Of spans that came after their trace was read: their results, and a reject for each that
    has none."""
    told = read_results(spans)
    late = [
        Reject(trace_source(span.trace_id), 0, LATE, f"{span.span_id} {span.name}")
        for span in spans
        if not any(read_opinions(span))
    ]
    return replace(told, rejects=(*told.rejects, *late))
