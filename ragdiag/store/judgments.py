"""Relevance judgments: which passages answer which questions, by split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb
import pyarrow as pa

from ragdiag.errors import UnknownName
from ragdiag.records import Judgment, Question, Reject
from ragdiag.store.gold import GoldChange, known_ids, reject_of
from ragdiag.store.lake import Lake
from ragdiag.store.relevance import asked_about, rewrite_relevance
from ragdiag.store.rollups import recounted
from ragdiag.store.tables import SCHEMAS, insert, is_unicode, registered
from ragdiag.store.times import now_utc

HIGHEST_GRADE = 255


def add_judgments(
    lake: Lake, judgments: Iterable[Judgment], *, foreign: bool = False
) -> GoldChange:
    """Add relevance judgments, and derive ``rel`` again for the requests of their questions.

    How relevant a passage is to a question is one fact, whatever the split: judging a pair again
    replaces its grade in every split, and the last of a call counts. Rejected: an unknown
    question, a passage that neither the corpus nor any log ever had, a grade outside 0 … 255, an
    empty split. ``foreign``: they are about a corpus that is not here, so any passage may be.
    """
    given = list(judgments)

    def add(cursor: duckdb.DuckDBPyConnection) -> GoldChange:
        offered, rejects = _usable_judgments(cursor, given, foreign)
        grades = {(one.question_id, one.passage_id): one.grade for one in offered}
        wanted = {(one.question_id, one.passage_id, one.split) for one in offered}
        known = {
            (question_id, passage_id, split): grade
            for question_id, passage_id, split, grade in cursor.execute(
                "select question_id, passage_id, split, grade from judgments "
                "where question_id in (select unnest(?::varchar[]))",
                [sorted({one.question_id for one in offered})],
            ).fetchall()
        }
        regraded = {
            key for key, grade in known.items() if grades.get((key[0], key[1]), grade) != grade
        }
        added = wanted - known.keys()
        now = now_utc()
        rows = [
            {"question_id": q, "passage_id": p, "split": s, "grade": grades[q, p], "judged_at": now}
            for q, p, s in sorted(regraded | added)
        ]
        questions = {question_id for question_id, _, _ in regraded | added}
        with recounted(cursor, asked_about(cursor, questions)):
            _delete_judgments(cursor, regraded)
            insert(cursor, "judgments", rows)
            rewrite_relevance(cursor, questions)
        unchanged = len(wanted - added - regraded)
        return GoldChange(len(added), len(regraded), unchanged, tuple(rejects))

    return lake.write(add)


def split_sizes(lake: Lake) -> dict[str, int]:
    """Split → its questions with a passage that answers them, by name."""
    rows = lake.rows(
        "select split, count(distinct question_id) as n from judgments where grade > 0 "
        "group by split order by split"
    )
    return {row["split"]: row["n"] for row in rows}


def load_questions(lake: Lake, split: str | None = None) -> list[Question]:
    """The questions of ``split``, whether a passage or an answer of theirs is known, or all; by id.
    UnknownName lists the splits there are."""
    if split is None:
        rows = lake.rows("select question_id, text, topic from questions order by question_id")
        return [Question(**row) for row in rows]
    rows = lake.rows(
        "select question_id, text, topic from questions where question_id in "
        "(select question_id from split_questions where split = ?) order by question_id",
        [split],
    )
    if not rows:
        there = splits(lake)
        raise UnknownName(
            f"there is no split {split!r}",
            remedy=f"name one of: {', '.join(there)}"
            if there
            else "import judged questions first: ragdiag import gold PATH",
        )
    return [Question(**row) for row in rows]


def find_question(lake: Lake, text: str) -> str | None:
    """The id of the question with this very text; None where there is none."""
    rows = lake.rows("select question_id from questions where text = ? order by 1 limit 1", [text])
    return str(rows[0]["question_id"]) if rows else None


def load_judgments(lake: Lake, split: str | None = None) -> dict[str, dict[str, int]]:
    """Question → passage → grade, of one split, or the highest of all."""
    judged: dict[str, dict[str, int]] = {}
    for row in lake.rows(
        "select question_id, passage_id, grade from judgments "
        "where $split is null or split = $split order by question_id, passage_id, grade",
        {"split": split},
    ):
        judged.setdefault(row["question_id"], {})[row["passage_id"]] = row["grade"]
    return judged


def highest_grades(lake: Lake, question_ids: Iterable[str]) -> dict[tuple[str, str], int]:
    """(Question, passage) → the highest grade that any split gives the pair, of these questions."""
    rows = lake.rows(
        "select question_id, passage_id, max(grade) as grade from judgments "
        "where question_id in (select unnest(?::varchar[])) group by all",
        [sorted(question_ids)],
    )
    return {(row["question_id"], row["passage_id"]): row["grade"] for row in rows}


def splits(lake: Lake) -> list[str]:
    rows = lake.rows("select distinct split from split_questions order by 1")
    return [row["split"] for row in rows]


def load_members(lake: Lake, split: str | None) -> list[str]:
    """The ids of the questions of ``split``, or of any."""
    rows = lake.rows(
        "select distinct question_id from split_questions "
        "where $split is null or split = $split order by 1",
        {"split": split},
    )
    return [row["question_id"] for row in rows]


def _usable_judgments(
    cursor: duckdb.DuckDBPyConnection, given: Sequence[Judgment], foreign: bool
) -> tuple[list[Judgment], list[Reject]]:
    questions = known_ids(cursor, "questions", "question_id", (one.question_id for one in given))
    judged = {one.passage_id for one in given}
    if foreign:
        passages = {passage_id for passage_id in judged if is_unicode(passage_id)}
    else:
        passages = known_ids(cursor, "passages", "passage_id", judged)
        passages |= known_ids(cursor, "logged_passages", "passage_id", judged - passages)
    offered, rejects = [], []
    for line, one in enumerate(given, start=1):
        if one.question_id not in questions:
            rejects.append(reject_of(line, one, f"unknown question {one.question_id!a}"))
        elif one.passage_id not in passages:
            rejects.append(reject_of(line, one, f"unknown passage {one.passage_id!a}"))
        elif not 0 <= one.grade <= HIGHEST_GRADE:
            rejects.append(
                reject_of(line, one, f"grade {one.grade} is outside 0 … {HIGHEST_GRADE}")
            )
        elif not one.split.strip():
            rejects.append(reject_of(line, one, "empty split"))
        else:
            offered.append(one)
    return offered, rejects


def _delete_judgments(
    cursor: duckdb.DuckDBPyConnection, keys: Iterable[tuple[str, str, str]]
) -> None:
    rows = [{"question_id": q, "passage_id": p, "split": s} for q, p, s in keys]
    if rows:
        columns = pa.schema([SCHEMAS["judgments"].field(name) for name in rows[0]])
        with registered(cursor, "regraded", rows, columns):
            cursor.execute(
                "delete from judgments where (question_id, passage_id, split) in "
                "(select question_id, passage_id, split from regraded)"
            )
