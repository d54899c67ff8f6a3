"""What is known to be right: questions, relevance judgments and gold answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from ragdiag.errors import UnknownName
from ragdiag.records import GoldAnswer, Judgment, Question, Reject
from ragdiag.store.lake import Lake, now_utc
from ragdiag.store.relevance import rewrite_relevance
from ragdiag.store.rows import TEXT, TEXTS, TIME, WHOLE, insert, registered

HIGHEST_GRADE = 255

_QUESTIONS = pa.schema([("question_id", TEXT), ("text", TEXT), ("topic", TEXT), ("added_at", TIME)])
_JUDGMENTS = pa.schema(
    [("question_id", TEXT), ("passage_id", TEXT), ("grade", WHOLE), ("split", TEXT)]
    + [("judged_at", TIME)]
)
_ANSWERS = pa.schema([("question_id", TEXT), ("answers", TEXTS), ("added_at", TIME)])


@dataclass(frozen=True, slots=True)
class GoldChange:
    """Rows by what became of them. A reject's line is its number in the call, from 1."""

    added: int
    replaced: int
    unchanged: int
    rejects: tuple[Reject, ...] = ()


def add_questions(lake: Lake, questions: Iterable[Question]) -> GoldChange:
    """Add questions; one that exists with another text or topic is replaced.

    Rejected: an empty id or text, an id given twice with different content (the first stays).
    """
    given = list(questions)

    def add(cursor: duckdb.DuckDBPyConnection) -> GoldChange:
        offered, rejects = _first_of_each(given, lambda one: one.question_id, _question_fault)
        known = {
            row[0]: Question(*row)
            for row in cursor.execute(
                "select question_id, text, topic from questions "
                "where question_id in (select unnest(?::varchar[]))",
                [list(offered)],
            ).fetchall()
        }
        return _upsert(cursor, "questions", _QUESTIONS, offered, known, rejects)

    return lake.write(add)


def add_gold_answers(lake: Lake, answers: Iterable[GoldAnswer]) -> GoldChange:
    """Add the accepted answers of questions; those of a question that has some are replaced.

    Rejected: an unknown question, no answer that says anything, a question given twice with
    different answers (the first stays).
    """
    given = list(answers)

    def add(cursor: duckdb.DuckDBPyConnection) -> GoldChange:
        questions = _known_ids(cursor, "questions", "question_id", (g.question_id for g in given))

        def fault(gold: GoldAnswer) -> str | None:
            if gold.question_id not in questions:
                return f"unknown question {gold.question_id!r}"
            return None if any(text.strip() for text in gold.answers) else "no answer"

        offered, rejects = _first_of_each(given, lambda one: one.question_id, fault)
        known = {
            question_id: GoldAnswer(question_id, tuple(texts))
            for question_id, texts in cursor.execute(
                "select question_id, answers from gold_answers "
                "where question_id in (select unnest(?::varchar[]))",
                [list(offered)],
            ).fetchall()
        }
        return _upsert(cursor, "gold_answers", _ANSWERS, offered, known, rejects)

    return lake.write(add)


def add_judgments(lake: Lake, judgments: Iterable[Judgment]) -> GoldChange:
    """Add relevance judgments, and derive ``rel`` again for the requests of their questions.

    How relevant a passage is to a question is one fact, whatever the split: judging a pair again
    replaces its grade in every split, and the last of a call counts. Rejected: an unknown
    question, a passage that never was in the corpus, a grade outside 0 … 255, an empty split.
    """
    given = list(judgments)

    def add(cursor: duckdb.DuckDBPyConnection) -> GoldChange:
        offered, rejects = _usable_judgments(cursor, given)
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
        _delete_judgments(cursor, regraded)
        now = now_utc()
        rows = [
            {"question_id": q, "passage_id": p, "split": s, "grade": grades[q, p], "judged_at": now}
            for q, p, s in sorted(regraded | added)
        ]
        insert(cursor, "judgments", _JUDGMENTS, rows)
        rewrite_relevance(cursor, {row["question_id"] for row in rows})
        unchanged = len(wanted - added - regraded)
        return GoldChange(len(added), len(regraded), unchanged, tuple(rejects))

    return lake.write(add)


def load_questions(lake: Lake, split: str | None = None) -> list[Question]:
    """The questions judged in ``split``, or all; by id. UnknownName lists the splits there are."""
    if split is None:
        rows = lake.rows("select question_id, text, topic from questions order by question_id")
        return [Question(**row) for row in rows]
    rows = lake.rows(
        "select question_id, text, topic from questions where question_id in "
        "(select question_id from judgments where split = ?) order by question_id",
        [split],
    )
    if not rows:
        there = splits(lake)
        raise UnknownName(
            f"there is no split {split!r}",
            remedy=f"name one of: {', '.join(there)}" if there else "import judgments first",
        )
    return [Question(**row) for row in rows]


def load_judgments(lake: Lake, split: str | None = None) -> dict[str, dict[str, int]]:
    """Question → passage → grade, of one split or of all."""
    judged: dict[str, dict[str, int]] = {}
    for row in lake.rows(
        "select question_id, passage_id, grade from judgments "
        "where $split is null or split = $split order by question_id, passage_id",
        {"split": split},
    ):
        judged.setdefault(row["question_id"], {})[row["passage_id"]] = row["grade"]
    return judged


def load_gold_answers(lake: Lake) -> dict[str, tuple[str, ...]]:
    """Question → its accepted answers."""
    rows = lake.rows("select question_id, answers from gold_answers order by question_id")
    return {row["question_id"]: tuple(row["answers"]) for row in rows}


def splits(lake: Lake) -> list[str]:
    return [row["split"] for row in lake.rows("select distinct split from judgments order by 1")]


def _question_fault(question: Question) -> str | None:
    if not question.question_id.strip():
        return "empty question id"
    return None if question.text.strip() else "empty question"


def _first_of_each(
    given: Sequence[Any], key: Callable[[Any], str], fault: Callable[[Any], str | None]
) -> tuple[dict[str, Any], list[Reject]]:
    offered: dict[str, Any] = {}
    rejects = []
    for line, record in enumerate(given, start=1):
        reason = fault(record)
        if reason is None and offered.setdefault(key(record), record) != record:
            reason = f"{key(record)!r} is given twice with different content; the first stays"
        if reason is not None:
            rejects.append(_reject(line, record, reason))
    return offered, rejects


def _upsert(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    schema: pa.Schema,
    offered: Mapping[str, Any],
    known: Mapping[str, Any],
    rejects: Sequence[Reject],
) -> GoldChange:
    """Make ``table`` have the offered rows, keyed by question_id; equal ones are left alone."""
    replaced = [key for key, record in offered.items() if key in known and known[key] != record]
    added = [key for key in offered if key not in known]
    if replaced:
        cursor.execute(
            f"delete from {table} where question_id in (select unnest(?::varchar[]))", [replaced]
        )
    now = now_utc()
    rows = [
        {name: getattr(offered[key], name, now) for name in schema.names}
        for key in replaced + added
    ]
    insert(cursor, table, schema, rows)
    unchanged = len(offered) - len(replaced) - len(added)
    return GoldChange(len(added), len(replaced), unchanged, tuple(rejects))


def _usable_judgments(
    cursor: duckdb.DuckDBPyConnection, given: Sequence[Judgment]
) -> tuple[list[Judgment], list[Reject]]:
    questions = _known_ids(cursor, "questions", "question_id", (one.question_id for one in given))
    passages = _known_ids(cursor, "passages", "passage_id", (one.passage_id for one in given))
    offered, rejects = [], []
    for line, one in enumerate(given, start=1):
        if one.question_id not in questions:
            rejects.append(_reject(line, one, f"unknown question {one.question_id!r}"))
        elif one.passage_id not in passages:
            rejects.append(_reject(line, one, f"unknown passage {one.passage_id!r}"))
        elif not 0 <= one.grade <= HIGHEST_GRADE:
            rejects.append(_reject(line, one, f"grade {one.grade} is outside 0 … {HIGHEST_GRADE}"))
        elif not one.split.strip():
            rejects.append(_reject(line, one, "empty split"))
        else:
            offered.append(one)
    return offered, rejects


def _delete_judgments(
    cursor: duckdb.DuckDBPyConnection, keys: Iterable[tuple[str, str, str]]
) -> None:
    rows = [{"question_id": q, "passage_id": p, "split": s} for q, p, s in keys]
    if rows:
        schema = pa.schema([("question_id", TEXT), ("passage_id", TEXT), ("split", TEXT)])
        with registered(cursor, "regraded", pa.Table.from_pylist(rows, schema=schema)):
            cursor.execute(
                "delete from judgments where (question_id, passage_id, split) in "
                "(select question_id, passage_id, split from regraded)"
            )


def _known_ids(
    cursor: duckdb.DuckDBPyConnection, table: str, column: str, ids: Iterable[str]
) -> set[str]:
    found = cursor.execute(
        f"select distinct {column} from {table} where {column} in (select unnest(?::varchar[]))",
        [sorted(set(ids))],
    ).fetchall()
    return {row[0] for row in found}


def _reject(line: int, record: Question | GoldAnswer | Judgment, reason: str) -> Reject:
    source = {Question: "questions", GoldAnswer: "gold_answers", Judgment: "judgments"}
    return Reject(source[type(record)], line, reason, str(record)[:500])
