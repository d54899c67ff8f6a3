"""Records that were read from traces: another door than the spool's, under its rules."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import duckdb

from ragdiag.records import Passage, Reject, Request
from ragdiag.settings import Workspace
from ragdiag.store.intake.parsing import BODY_CHARS
from ragdiag.store.intake.shelves import SHELVES, find_known
from ragdiag.store.intake.turned_away import forget_requests
from ragdiag.store.kinds import Record, identity, record_to_json
from ragdiag.store.upkeep.forgotten import REASON, all_forgotten, find_forgotten
from ragdiag.store.upkeep.ledger import TRACES, record_counts


def admit(
    cursor: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    records: Sequence[tuple[str, Record]],
) -> tuple[Counter[str], list[Reject]]:
    """Within the caller's transaction: how many records of each kind are new, and what was
    refused.

    Each record comes with its source. Of two with one identity the first stays; an equal one is
    passed over, a different one is a reject (not yet saved) of its source, as is what belongs to a
    forgotten user.
    """
    records, rejects = _without_forgotten(cursor, workspace, records)
    known = find_known(cursor, [record for _, record in records])
    fresh: dict[str, list[tuple[str, Record]]] = {}
    for source, record in records:
        kind, key = identity(record)
        first = known.setdefault((kind, key), record)
        if first is record:
            fresh.setdefault(kind, []).append((source, record))
        elif first != record:
            reason = f"another {kind} has the id {key!r}; the first stays"
            rejects.append(Reject(source, 0, reason, _body(record)))
    # Requests last, so that what is said of them is counted with them and not by itself.
    for kind in sorted(fresh, key=lambda kind: kind == "request"):
        SHELVES[kind].add(cursor, fresh[kind])
    new = Counter({kind: len(accepted) for kind, accepted in fresh.items()})
    record_counts(cursor, {(TRACES, kind): n for kind, n in new.items()})
    return new, rejects


def _body(record: Record) -> str:
    """The record as JSON, cut; whose it is comes first, so that forgetting finds it."""
    told = record_to_json(record)
    whose = {name: told[name] for name in ("request_id", "user_key") if name in told}
    return json.dumps({**whose, **told}, ensure_ascii=False)[:BODY_CHARS]


def _without_forgotten(
    cursor: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    records: Sequence[tuple[str, Record]],
) -> tuple[list[tuple[str, Record]], list[Reject]]:
    """What may come in, and a reject for each that may not, saying no more than why; passages go
    with the request that they were found for."""
    forgotten, given = all_forgotten(cursor, workspace), [record for _, record in records]
    told = [given[place] for place in find_forgotten(workspace, forgotten, given)]
    ids = {record.request_id for record in told if isinstance(record, Request)}
    forgotten |= forget_requests(cursor, workspace, forgotten, ids)
    gone = find_forgotten(workspace, forgotten, given)
    sources = {records[place][0] for place in gone if isinstance(records[place][1], Request)}
    kept = [
        (source, record)
        for place, (source, record) in enumerate(records)
        if place not in gone and not (isinstance(record, Passage) and source in sources)
    ]
    return kept, [Reject(records[place][0], 0, REASON) for place in sorted(gone)]
