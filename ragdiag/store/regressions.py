"""Questions that went wrong once, were mended, and must stay so: every tuned retriever and reranker
is checked on them.

A set has a name and rows are only added to it: what was dropped stays written down, with why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from ragdiag.errors import InputError, UnknownName
from ragdiag.store.authority import decisions
from ragdiag.store.lake import Lake
from ragdiag.store.tables import insert
from ragdiag.store.times import now_utc

DEFAULT_SET = "regressions"


@dataclass(frozen=True, slots=True)
class Regression:
    """A question, the request in which it went wrong (None: not said) and why it is here."""

    question_id: str
    from_request: str | None = None
    reason: str = ""
    added_at: datetime | None = None


def add_regressions(
    lake: Lake, offered: Sequence[Regression], set_name: str = DEFAULT_SET
) -> list[str]:
    """Add questions; the ids of those that were not in the set before.

    Raises UnknownName for a question that is not there, InputError for one without a passage that
    answers it, which no release could be checked on; nothing is then added.
    """

    def add(cursor: duckdb.DuckDBPyConnection) -> list[str]:
        _check_questions(cursor, [one.question_id for one in offered])
        held = _held(cursor, set_name)
        fresh = {one.question_id: one for one in offered if one.question_id not in held}
        insert(
            cursor,
            "regression_questions",
            [_row(set_name, one, "added") for one in fresh.values()],
        )
        return list(fresh)

    return lake.write(add)


def drop_regression(lake: Lake, question_id: str, reason: str, set_name: str = DEFAULT_SET) -> None:
    """Check releases on this question no longer. Raises UnknownName where it is not in the set."""

    def drop(cursor: duckdb.DuckDBPyConnection) -> None:
        if question_id not in _held(cursor, set_name):
            raise UnknownName(
                f"question {question_id!r} is not in the set {set_name!r}",
                remedy="see: ragdiag tune regressions list",
            )
        gone = Regression(question_id, reason=reason)
        insert(cursor, "regression_questions", [_row(set_name, gone, "dropped")])

    lake.write(drop)


def load_regressions(lake: Lake, set_name: str = DEFAULT_SET) -> tuple[Regression, ...]:
    """The questions of a set in the order in which they were added; none of an unknown set."""
    found = lake.read(lambda cursor: _held(cursor, set_name))
    return tuple(sorted(found.values(), key=lambda one: (str(one.added_at), one.question_id)))


def mended_failures(lake: Lake, version_id: str) -> list[Regression]:
    """Questions that an earlier request got wrong and that ``version_id`` answers rightly in its
    last evaluation of them, with the last request that was wrong. Some may have no passage that
    answers them, and cannot be added."""
    rows = lake.rows(
        f"""
        with {decisions("true", "select request_id from requests where question_id is not null")},
        graded as (
            select r.question_id, r.request_id, r.version_id, r.traffic, r.asked_at, o.found.y as y
            from requests r join opinions o using (request_id)
            where o.found.y is not null),
        mended as (
            select question_id, max(asked_at) as asked_at from graded
            where version_id = $version_id and traffic = 'evaluation'
            group by question_id having arg_max(y, {{'at': asked_at, 'id': request_id}}) = 1)
        select w.question_id, arg_max(w.request_id, {{'at': w.asked_at, 'id': w.request_id}})
               as wrong
        from graded w join mended m using (question_id)
        where w.y = 0 and w.asked_at < m.asked_at
        group by w.question_id order by w.question_id""",
        {"version_id": version_id},
    )
    return [Regression(row["question_id"], row["wrong"]) for row in rows]


def _held(cursor: duckdb.DuckDBPyConnection, set_name: str) -> dict[str, Regression]:
    rows = cursor.execute(
        "select question_id, from_request, reason, recorded_at from regression_questions "
        "where set_name = ? qualify row_number() over (partition by question_id "
        "order by recorded_at desc, state desc) = 1 and state = 'added'",
        [set_name],
    ).fetchall()
    return {row[0]: Regression(*row) for row in rows}


def _check_questions(cursor: duckdb.DuckDBPyConnection, question_ids: Sequence[str]) -> None:
    rows = cursor.execute(
        "select q.question_id, count(j.passage_id) from questions q "
        "left join judgments j on j.question_id = q.question_id and j.grade > 0 "
        "where q.question_id in (select unnest(?::varchar[])) group by q.question_id",
        [list(question_ids)],
    ).fetchall()
    golds: Mapping[str, int] = dict(rows)
    for question_id in question_ids:
        if question_id not in golds:
            raise UnknownName(
                f"there is no question {question_id!r}",
                remedy="import it first: ragdiag import gold PATH",
            )
        if not golds[question_id]:
            raise InputError(
                f"no passage is known that answers question {question_id!r}",
                remedy="judge one first: ragdiag import gold PATH",
            )


def _row(set_name: str, one: Regression, state: str) -> dict[str, Any]:
    return {
        "set_name": set_name,
        "question_id": one.question_id,
        "from_request": one.from_request,
        "reason": one.reason,
        "state": state,
        "recorded_at": now_utc(),
    }
