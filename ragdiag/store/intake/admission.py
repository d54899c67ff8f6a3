"""Records that were read from traces: another door than the spool's, under its rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import duckdb

from ragdiag.records import Reject
from ragdiag.store.intake.shelves import SHELVES, find_known
from ragdiag.store.kinds import Record, identity, record_to_json
from ragdiag.store.upkeep.ledger import TRACES, record_counts


def admit(
    cursor: duckdb.DuckDBPyConnection, records: Sequence[tuple[str, Record]]
) -> tuple[Counter[str], list[Reject]]:
    """Within the caller's transaction: how many records of each kind are new, and what was
    refused.

    Each record comes with its source. Of two with one identity the first stays; an equal one is
    passed over, a different one is a reject (not yet saved) of its source.
    """
    known = find_known(cursor, [record for _, record in records])
    fresh: dict[str, list[tuple[str, Record]]] = {}
    rejects = []
    for source, record in records:
        kind, key = identity(record)
        first = known.setdefault((kind, key), record)
        if first is record:
            fresh.setdefault(kind, []).append((source, record))
        elif first != record:
            reason = f"another {kind} has the id {key!r}; the first stays"
            rejects.append(Reject(source, 0, reason, str(record_to_json(record))[:2_000]))
    # Requests last, so that what is said of them is counted with them and not by itself.
    for kind in sorted(fresh, key=lambda kind: kind == "request"):
        SHELVES[kind].add(cursor, fresh[kind])
    new = Counter({kind: len(accepted) for kind, accepted in fresh.items()})
    record_counts(cursor, {(TRACES, kind): n for kind, n in new.items()})
    return new, rejects
