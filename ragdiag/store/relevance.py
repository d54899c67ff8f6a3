"""``rel``: the relevance grade of every hit of a request's final ranking, kept with the request.

Derived from the judgments, and rewritten for the questions whose judgments change, so that pages
compute ranking metrics without joining hits to judgments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import duckdb
import pyarrow as pa

from ragdiag.store.tables import SCHEMAS, registered


def ranked_grades(passage_ids: Sequence[str], judged: Mapping[str, int]) -> list[int]:
    """Grades in rank order, 0 where unjudged; a passage counts once, where it came first.

    >>> ranked_grades(["a", "b", "a", "c"], {"a": 2, "c": 1})
    [2, 0, 0, 1]
    """
    seen: set[str] = set()
    grades = []
    for passage_id in passage_ids:
        grades.append(0 if passage_id in seen else min(max(judged.get(passage_id, 0), 0), 255))
        seen.add(passage_id)
    return grades


def asked_about(cursor: duckdb.DuckDBPyConnection, question_ids: Iterable[str]) -> list[str]:
    """The requests that asked one of these questions."""
    found = cursor.execute(
        "select request_id from requests where question_id in (select unnest(?::varchar[]))",
        [sorted(set(question_ids))],
    ).fetchall()
    return [request_id for (request_id,) in found]


def judged_passages(
    cursor: duckdb.DuckDBPyConnection, question_ids: Iterable[str]
) -> dict[str, dict[str, int]]:
    """Question → passage → grade, for those of ``question_ids`` that have judgments."""
    judged: dict[str, dict[str, int]] = {}
    for question_id, passage_id, grade in cursor.execute(
        "select question_id, passage_id, grade from judgments "
        "where question_id in (select unnest(?::varchar[])) order by judged_at",
        [sorted(set(question_ids))],
    ).fetchall():
        judged.setdefault(question_id, {})[passage_id] = grade
    return judged


def rewrite_relevance(cursor: duckdb.DuckDBPyConnection, question_ids: Iterable[str]) -> int:
    """Derive ``rel`` again for every request of these questions; returns how many changed."""
    questions = sorted(set(question_ids))
    judged = judged_passages(cursor, questions)
    found = cursor.execute(
        "select request_id, question_id, rel, "
        "list_transform(coalesce(reranked, fused), lambda hit: hit.passage_id) "
        "from requests where question_id in (select unnest(?::varchar[]))",
        [questions],
    ).fetchall()
    changed = []
    for request_id, question_id, rel, passage_ids in found:
        grades = judged.get(question_id)
        fresh = None if grades is None else ranked_grades(passage_ids or [], grades)
        if fresh != rel:
            changed.append({"request_id": request_id, "rel": fresh})
    if changed:
        columns = pa.schema([SCHEMAS["requests"].field(name) for name in ("request_id", "rel")])
        with registered(cursor, "derived", changed, columns):
            cursor.execute(
                "update requests set rel = derived.rel from derived "
                "where requests.request_id = derived.request_id"
            )
    return len(changed)
