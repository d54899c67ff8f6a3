"""What the lake holds of one user, and its removal in one transaction.

A user's rows are the requests with the user's pseudonym, what hangs on them, the spans of the
same traces and of those in which some span names the user, the rejected lines that name either, and
evaluation questions made from a request: of the same text, added after it was asked, and asked by
nobody else. What ragdiag itself asked with the user's words (evaluation, replay) is the user's too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import duckdb

from ragdiag.store.intake.screening import OWN_TRAFFIC
from ragdiag.store.kinds import HIT_FIELDS
from ragdiag.store.lake import Lake
from ragdiag.store.times import to_aware_utc
from ragdiag.store.upkeep.forgotten import add_forgotten
from ragdiag.store.upkeep.ledger import record_removals
from ragdiag.store.upkeep.removal import dependents, remove_requests

REASON = "privacy"

_TEXTS = ("question", "answer", "error")
_LISTS = ("keys", "request_ids", "texts", "question_ids", "trace_ids")

_THEIRS = "coalesce(user_key, '') in (select unnest($keys::varchar[]))"
_ASKED_FIRST = f"""
    select question_id from questions q
    where text in (select question from requests where {_THEIRS} and asked_at < q.added_at)"""
_OWN = f"""(user_key is null and traffic in {OWN_TRAFFIC} and coalesce(question_id, '') not in (
    select question_id from questions where question_id not in ({_ASKED_FIRST})))"""
"""Requests that ragdiag asked itself, and of no question that was there without the user."""
_OTHERS = f"not {_THEIRS} and not {_OWN}"
_SHARED = f"""
    select question as text from requests
    where question in (select unnest($texts::varchar[])) and {_OTHERS}
    union select answer from requests
    where answer in (select unnest($texts::varchar[])) and {_OTHERS}
    union select text from questions where text in (select unnest($texts::varchar[]))
    and question_id not in (select unnest($derived::varchar[]))"""
_DERIVED = f"{_ASKED_FIRST} and text not in (select question from requests where {_OTHERS})"
_ASKED = f"""
    select request_id, asked_at, question, answer, error from requests where {_THEIRS} or {_OWN}
    and (question_id in (select unnest($derived::varchar[]))
        or (question in (select question from requests where {_THEIRS})
            and question not in (select question from requests where {_OTHERS})))"""

_ANOTHERS = """
    select request_id from requests where request_id in (select unnest($ids::varchar[]))
    and user_key not in (select unnest($keys::varchar[]))"""
"""Ids under which a request of the user was turned away: somebody else's was there first."""

_NAMING = """list_has_any($keys::varchar[],
    regexp_extract_all(concat_ws(' ', attributes, resource), 'user:([0-9a-f]{32})', 1))"""
"""Spans that name one of the users, be it within JSON that is a text itself."""

_BESIDE = {
    "spans": f"trace_id in (select unnest($ids::varchar[])) or {_NAMING}",
    "rejects": """list_has_any(list_concat($ids::varchar[], $keys::varchar[]), regexp_extract_all(
        body, '["''](?:user_key|request_id|trace_id)["'']\\s*:\\s*["'']([^"'']*)["'']', 1))""",
    **dict.fromkeys(
        ("judgments", "gold_answers", "questions", "question_splits", "regression_questions"),
        "question_id in (select unnest($question_ids::varchar[]))",
    ),
}
"""Tables whose rows hang on no request, and which of them go. Bodies of rejects are JSON, or Python
literals where an older ragdiag wrote them."""

_TOLD = "from_request in (select unnest($ids::varchar[]))"
"""Rows of ``regression_questions`` that say why somebody else's question is there: the question
stays, without what it says of the request."""

_FOUND = "unnest(flatten([{}]))".format(
    ", ".join(
        f"list_transform(coalesce({name}, []), lambda h: h.passage_id)" for name in HIT_FIELDS
    )
)
_ALONE = f"""passage_id in (
    with theirs as (
        select distinct {_FOUND} as passage_id from requests
        where request_id in (select unnest($ids::varchar[]))),
    others as (
        select passage_id from (
            select {_FOUND} as passage_id from requests
            where request_id not in (select unnest($ids::varchar[])))
        where passage_id in (select passage_id from theirs)
        union all select passage_id from judgments
        where question_id not in (select unnest($question_ids::varchar[])))
    select passage_id from theirs where passage_id not in (select passage_id from others))"""
"""Logged passages that were found for the user alone."""


@dataclass(frozen=True, slots=True)
class UserTraces:
    """``texts`` are those of the user's requests that no other request and no question has;
    ``trace_ids`` are those of traces that wait and in which some span names the user, be it one
    that waits in a segment."""

    keys: tuple[str, ...]
    request_ids: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    question_ids: tuple[str, ...] = ()
    trace_ids: tuple[str, ...] = ()
    since: datetime | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """Of requests and traces."""
        return (*self.request_ids, *self.trace_ids)


def join_traces(several: Iterable[UserTraces]) -> UserTraces:
    """All of them as one."""
    every = list(several)

    def joined(name: str) -> tuple[str, ...]:
        return tuple(sorted({text for one in every for text in getattr(one, name)}))

    return UserTraces(
        **{name: joined(name) for name in _LISTS},
        since=min((one.since for one in every if one.since), default=None),
    )


def find_traces(lake: Lake, keys: Collection[str], kept: UserTraces) -> UserTraces:
    """What the lake holds under these pseudonyms, and what it held, as ``kept`` has it, without
    ids of requests that are somebody else's."""
    named = sorted({*keys, *kept.keys})
    ids = {"ids": list(kept.request_ids), "keys": named}
    anothers = {row["request_id"] for row in lake.rows(_ANOTHERS, ids)}
    kept = replace(kept, request_ids=tuple(set(kept.request_ids) - anothers))
    derived = [row["question_id"] for row in lake.rows(_DERIVED, {"keys": named})]
    found = lake.rows(_ASKED, {"keys": named, "derived": derived})
    waiting = lake.rows(
        f"select trace_id, min(started_at) as since from spans where {_NAMING} group by all",
        {"keys": named},
    )
    times = [row["asked_at"] for row in found] + [row["since"] for row in waiting]
    fresh = UserTraces(
        keys=tuple(named),
        request_ids=tuple(row["request_id"] for row in found),
        texts=tuple(row[name] for row in found for name in _TEXTS if row[name]),
        question_ids=tuple(derived),
        trace_ids=tuple(row["trace_id"] for row in waiting),
        since=to_aware_utc(min(times)) if times else None,
    )
    traces = join_traces([fresh, kept])
    given = {"texts": list(traces.texts), "keys": named, "derived": list(traces.question_ids)}
    shared = {row["text"] for row in lake.rows(_SHARED, given)}
    return replace(traces, texts=tuple(text for text in traces.texts if text not in shared))


def user_keys(lake: Lake) -> list[str]:
    """Every pseudonym under which somebody asked."""
    rows = lake.rows("select distinct user_key from requests where user_key is not null order by 1")
    return [row["user_key"] for row in rows]


def is_user_key(lake: Lake, key: str) -> bool:
    """Whether somebody asked under this pseudonym."""
    return bool(lake.rows("select 1 from requests where user_key = ? limit 1", [key]))


def count_texts(lake: Lake, traces: UserTraces) -> int:
    """Requests that have one of the user's texts, or are the user's."""
    found: int = lake.rows(
        "select count(*) as n from requests where question in (select unnest($texts::varchar[])) "
        "or answer in (select unnest($texts::varchar[])) "
        "or user_key in (select unnest($keys::varchar[]))",
        {"texts": list(traces.texts), "keys": list(traces.keys)},
    )[0]["n"]
    return found


def count_traces(lake: Lake, traces: UserTraces) -> dict[str, int]:
    """Rows by table that :func:`remove_traces` would delete."""

    def count(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
        where = "request_id in (select unnest($ids::varchar[]))"
        places = dict.fromkeys(["requests", *dependents(cursor)], where) | _BESIDE
        places["logged_passages"] = _ALONE
        places["regression_questions"] += f" or {_TOLD}"
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
    passages = _rows(cursor, f"delete from logged_passages where {_ALONE}", traces)
    removed = remove_requests(cursor, list(traces.ids), REASON)
    removed["logged_passages"] = passages
    for table, condition in _BESIDE.items():
        removed[table] = _rows(cursor, f"delete from {table} where {condition}", traces)
    removed["regression_questions"] += _rows(
        cursor,
        f"update regression_questions set from_request = null, reason = '' where {_TOLD}",
        traces,
    )
    record_removals(cursor, {"spans": removed["spans"], "logged_passages": passages}, REASON)
    return removed


def _rows(cursor: duckdb.DuckDBPyConnection, statement: str, traces: UserTraces) -> int:
    """The number that a statement gives, its parameters taken from ``traces``."""
    given = {
        "ids": list(traces.ids),
        "keys": list(traces.keys),
        "question_ids": list(traces.question_ids),
    }
    used = {name: value for name, value in given.items() if f"${name}:" in statement}
    row = cursor.execute(statement, used).fetchone()
    return int(row[0]) if row else 0
