"""Questions and their gold answers, as [privacy] lets their texts be stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from ragdiag.privacy.hiding import is_hidden
from ragdiag.privacy.screening import Screen, open_screen
from ragdiag.records import GoldAnswer, Judgment, Question, Reject
from ragdiag.store.lake import Lake
from ragdiag.store.tables import SCHEMAS, insert, is_unicode
from ragdiag.store.times import now_utc


@dataclass(frozen=True, slots=True)
class GoldChange:
    """Rows by what became of them. A reject's line is its number in the call, from 1."""

    added: int
    replaced: int
    unchanged: int
    rejects: tuple[Reject, ...] = ()


def add_questions(lake: Lake, questions: Iterable[Question]) -> GoldChange:
    """Add questions; one that exists with another text or topic is replaced.

    Texts are redacted; where texts are not stored, one that a user has asked word for word is kept
    as the stand-in that the log has of it.
    Rejected: an empty id or text, an id given twice with different content (the first stays).
    """
    given, screen = list(questions), open_screen(lake.workspace)

    def add(cursor: duckdb.DuckDBPyConnection) -> GoldChange:
        first, rejects = _first_of_each(given, lambda one: one.question_id, _question_fault)
        offered = _screen_questions(cursor, screen, first)
        known = {
            row[0]: Question(*row)
            for row in cursor.execute(
                "select question_id, text, topic from questions "
                "where question_id in (select unnest(?::varchar[]))",
                [list(offered)],
            ).fetchall()
        }
        return _upsert(cursor, "questions", offered, known, rejects)

    return lake.write(add)


def add_gold_answers(lake: Lake, answers: Iterable[GoldAnswer]) -> GoldChange:
    """Add the accepted answers of questions; those of a question that has some are replaced.

    Texts are redacted, and kept as stand-ins where their question's is.
    Rejected: an unknown question, no answer that says anything, a question given twice with
    different answers (the first stays).
    """
    given, screen = list(answers), open_screen(lake.workspace)

    def add(cursor: duckdb.DuckDBPyConnection) -> GoldChange:
        questions = known_ids(cursor, "questions", "question_id", (g.question_id for g in given))

        def fault(gold: GoldAnswer) -> str | None:
            if gold.question_id not in questions:
                return f"unknown question {gold.question_id!a}"
            if not is_unicode("".join(gold.answers)):
                return "not valid Unicode (a lone surrogate or a NUL)"
            return None if any(text.strip() for text in gold.answers) else "no answer"

        first, rejects = _first_of_each(given, lambda one: one.question_id, fault)
        offered = _screen_answers(cursor, screen, first)
        known = {
            question_id: GoldAnswer(question_id, tuple(texts))
            for question_id, texts in cursor.execute(
                "select question_id, answers from gold_answers "
                "where question_id in (select unnest(?::varchar[]))",
                [list(offered)],
            ).fetchall()
        }
        return _upsert(cursor, "gold_answers", offered, known, rejects)

    return lake.write(add)


def add_members(lake: Lake, members: Iterable[tuple[str, str]], *, named: bool = True) -> None:
    """Put questions (id, split) into splits, where they are known. Those of which a passage is
    judged need it not. A split that is not ``named``, but the one for questions without any, holds
    a question only while no other does."""
    given = set(members)

    def add(cursor: duckdb.DuckDBPyConnection) -> None:
        known = known_ids(cursor, "questions", "question_id", (one for one, _ in given))
        there = cursor.execute(
            "select question_id, split from question_splits "
            "where question_id in (select unnest(?::varchar[])) and (named or not ?)",
            [sorted(known), named],
        ).fetchall()
        now = now_utc()
        rows = [
            {"question_id": question_id, "split": split, "named": named, "added_at": now}
            for question_id, split in sorted(given - {*there})
            if question_id in known
        ]
        insert(cursor, "question_splits", rows)

    lake.write(add)


def load_gold_answers(lake: Lake) -> dict[str, tuple[str, ...]]:
    """Question → its accepted answers; those whose texts are not stored are left out."""
    rows = lake.rows("select question_id, answers from gold_answers order by question_id")
    told = {
        row["question_id"]: tuple(text for text in row["answers"] if not is_hidden(text))
        for row in rows
    }
    return {question_id: answers for question_id, answers in told.items() if answers}


def _screen_questions(
    cursor: duckdb.DuckDBPyConnection, screen: Screen, offered: Mapping[str, Question]
) -> dict[str, Question]:
    texts = screen.redact([question.text for question in offered.values()])
    topics = screen.redact([question.topic for question in offered.values()])
    if screen.hide is not None:
        stand_ins = [screen.hide(text or "") for text in texts]
        found = cursor.execute(
            "select distinct question from requests "
            "where question in (select unnest(?::varchar[]))",
            [stand_ins],
        ).fetchall()
        asked = {text for (text,) in found}
        pairs = zip(texts, stand_ins, strict=True)
        texts = [stand_in if stand_in in asked else text for text, stand_in in pairs]
    return {
        one.question_id: replace(one, text=text or "", topic=topic or "")
        for one, text, topic in zip(offered.values(), texts, topics, strict=True)
    }


def _screen_answers(
    cursor: duckdb.DuckDBPyConnection, screen: Screen, offered: Mapping[str, GoldAnswer]
) -> dict[str, GoldAnswer]:
    rows = cursor.execute(
        "select question_id, text from questions "
        "where question_id in (select unnest(?::varchar[]))",
        [list(offered)],
    ).fetchall()
    hidden = {question_id for question_id, text in rows if is_hidden(text)}
    texts = iter(screen.redact([text for gold in offered.values() for text in gold.answers]))
    screened = {}
    for question_id, gold in offered.items():
        kept = [next(texts) or "" for _ in gold.answers]
        if screen.hide is not None and question_id in hidden:
            kept = [screen.hide(text) for text in kept]
        screened[question_id] = replace(gold, answers=tuple(kept))
    return screened


def _question_fault(question: Question) -> str | None:
    if not question.question_id.strip():
        return "empty question id"
    if not is_unicode(f"{question.question_id}{question.text}{question.topic}"):
        return "not valid Unicode (a lone surrogate or a NUL)"
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
            rejects.append(reject_of(line, record, reason))
    return offered, rejects


def _upsert(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
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
        {name: getattr(offered[key], name, now) for name in SCHEMAS[table].names}
        for key in replaced + added
    ]
    insert(cursor, table, rows)
    unchanged = len(offered) - len(replaced) - len(added)
    return GoldChange(len(added), len(replaced), unchanged, tuple(rejects))


def known_ids(
    cursor: duckdb.DuckDBPyConnection, table: str, column: str, ids: Iterable[str]
) -> set[str]:
    found = cursor.execute(
        f"select distinct {column} from {table} where {column} in (select unnest(?::varchar[]))",
        [sorted(one for one in set(ids) if is_unicode(one))],
    ).fetchall()
    return {row[0] for row in found}


def reject_of(line: int, record: Question | GoldAnswer | Judgment, reason: str) -> Reject:
    source = {Question: "questions", GoldAnswer: "gold_answers", Judgment: "judgments"}
    return Reject(source[type(record)], line, reason, ascii(record)[:500])
