"""What the lake holds of one user, and its removal in one transaction.

A user's rows are the requests with the user's pseudonym, what hangs on them, the spans of the
same traces, the rejected lines that name either, and evaluation questions made from a request: of
the same text, added after it was asked, and asked by nobody else.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import duckdb

from ragdiag.store.lake import Lake
from ragdiag.store.times import to_aware_utc
from ragdiag.store.upkeep.forgotten import add_forgotten
from ragdiag.store.upkeep.ledger import record_removals
from ragdiag.store.upkeep.removal import dependents, remove_requests

REASON = "privacy"

_OTHERS = "coalesce(user_key, '') not in (select unnest($keys::varchar[]))"
_SHARED = f"""
    select question as text from requests
    where question in (select unnest($texts::varchar[])) and {_OTHERS}
    union select answer from requests
    where answer in (select unnest($texts::varchar[])) and {_OTHERS}
    union select text from questions where text in (select unnest($texts::varchar[]))
    and question_id not in (select unnest($derived::varchar[]))"""
_DERIVED = f"""
    select question_id from questions q
    where text in (select question from requests where not {_OTHERS} and asked_at < q.added_at)
    and text not in (select question from requests where {_OTHERS})"""

_BESIDE = {
    "spans": """trace_id in (select unnest($ids::varchar[])) or list_has_any($keys::varchar[],
        regexp_extract_all(attributes, '"user:([0-9a-f]{32})"', 1))""",
    "rejects": """list_has_any(list_concat($ids::varchar[], $keys::varchar[]), regexp_extract_all(
        body, '"(?:user_key|request_id|trace_id)"\\s*:\\s*"([^"]*)"', 1))""",
    **dict.fromkeys(
        ("judgments", "gold_answers", "questions"),
        "question_id in (select unnest($question_ids::varchar[]))",
    ),
}
"""Tables whose rows hang on no request, and which of them go."""


@dataclass(frozen=True, slots=True)
class UserTraces:
    """``texts`` are those of the user's requests that no other request and no question has."""

    keys: tuple[str, ...]
    request_ids: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    question_ids: tuple[str, ...] = ()
    since: datetime | None = None


def find_traces(lake: Lake, keys: Collection[str]) -> UserTraces:
    """What the lake holds under these pseudonyms."""
    found = lake.rows(
        "select request_id, asked_at, question, answer, error from requests "
        "where user_key in (select unnest(?::varchar[])) order by asked_at",
        [list(keys)],
    )
    if not found:
        return UserTraces(tuple(keys))
    given = {row[name] for row in found for name in ("question", "answer", "error") if row[name]}
    derived = [row["question_id"] for row in lake.rows(_DERIVED, {"keys": list(keys)})]
    shared = lake.rows(_SHARED, {"texts": sorted(given), "keys": list(keys), "derived": derived})
    return UserTraces(
        keys=tuple(keys),
        request_ids=tuple(row["request_id"] for row in found),
        texts=tuple(sorted(given - {row["text"] for row in shared})),
        question_ids=tuple(derived),
        since=to_aware_utc(found[0]["asked_at"]),
    )


def count_traces(lake: Lake, traces: UserTraces) -> dict[str, int]:
    """Rows by table that :func:`remove_traces` would delete."""

    def count(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
        where = "request_id in (select unnest($ids::varchar[]))"
        places = dict.fromkeys(["requests", *dependents(cursor)], where) | _BESIDE
        return {
            table: _rows(cursor, f"select count(*) from {table} where {condition}", traces)
            for table, condition in places.items()
        }

    return lake.write(count)


def remove_traces(
    cursor: duckdb.DuckDBPyConnection, traces: UserTraces, tombstones: Collection[str]
) -> dict[str, int]:
    """Within the caller's transaction, keep the tombstones and delete the rows; rows by table."""
    add_forgotten(cursor, tombstones)
    removed = remove_requests(cursor, list(traces.request_ids), REASON)
    for table, condition in _BESIDE.items():
        removed[table] = _rows(cursor, f"delete from {table} where {condition}", traces)
    record_removals(cursor, {"spans": removed["spans"]}, REASON)
    return removed


def _rows(cursor: duckdb.DuckDBPyConnection, statement: str, traces: UserTraces) -> int:
    """The number that a statement gives, its parameters taken from ``traces``."""
    given = {
        "ids": list(traces.request_ids),
        "keys": list(traces.keys),
        "question_ids": list(traces.question_ids),
    }
    used = {name: value for name, value in given.items() if f"${name}:" in statement}
    row = cursor.execute(statement, used).fetchone()
    return int(row[0]) if row else 0
