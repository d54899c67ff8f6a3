"""Questions with what is known of their answers, as JSONL:

    {"question_id"?, "question", "answers"?: [one or more], "passages"?, "split"?, "topic"?}

``passages`` are the relevant ones: a list of ids, each of grade 1, or ids with their grades
(``{"doc#3": 2}``, 0 judges a passage irrelevant). A line has answers, passages or both. Without a
``question_id`` the question's own text names it, as the log would keep it. Other fields are not
read, and counted by name.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from ragdiag.importers.jsonl import Identifier, Located, Row, Text, Texts, read_rows
from ragdiag.importers.report import (
    ImportReport,
    Origin,
    accepted,
    keep_rejects,
    load_judgments,
    located_rejects,
)
from ragdiag.privacy.screening import Screen, open_screen
from ragdiag.records import GoldAnswer, Judgment, Question
from ragdiag.store.gold import add_gold_answers, add_members, add_questions
from ragdiag.store.judgments import HIGHEST_GRADE
from ragdiag.store.lake import Lake

DEFAULT_SPLIT = "gold"


def _read_passages(value: object) -> object:
    """A list of ids as ids with grade 1."""
    if not isinstance(value, list):
        return value
    if not all(isinstance(one, (str, int)) for one in value):
        raise ValueError("not a list of ids")
    return dict.fromkeys(value, 1)


_Grade = Annotated[int, Field(ge=0, le=HIGHEST_GRADE)]
_Grades = Annotated[dict[Identifier, _Grade], BeforeValidator(_read_passages)]


class _GoldRow(Row):
    model_config = ConfigDict(extra="allow")

    question_id: Identifier | None = None
    question: Text
    answers: Texts | None = None
    passages: _Grades = Field(default_factory=dict)
    split: Identifier = DEFAULT_SPLIT
    topic: str | None = None

    @model_validator(mode="after")
    def _knows_something(self) -> Self:
        if not self.answers and not self.passages:
            raise ValueError("neither answers nor passages")
        return self

    @property
    def id(self) -> str:
        """The id given, else one made from the text: the same question is one question."""
        return self.question_id or question_id_of(self.question)


def question_id_of(question: str) -> str:
    """The id of a question that has none of its own."""
    digest = hashlib.sha256(question.strip().encode(errors="surrogatepass")).hexdigest()
    return f"q-{digest[:12]}"


def stored_ids(screen: Screen, questions: Sequence[str]) -> list[str]:
    """As :func:`question_id_of`, of what the log would keep of each text: the id then gives nothing
    away that is not stored."""
    kept = screen.conceal([question.strip() for question in questions])
    return [question_id_of(text or "") for text in kept]


def import_gold(lake: Lake, path: Path) -> ImportReport:
    """Load questions, judgments and gold answers; importing the same again changes nothing.

    A bad line becomes a reject and the rest is loaded; a judgment of an unknown passage is a
    reject of its own, and its question stays. Raises InputError where ``path`` cannot be read.
    """
    read, rejects = read_rows(path, _GoldRow, key=lambda row: row.id)
    rows = _with_stored_ids(open_screen(lake.workspace), read)
    origins = [one.origin for one in rows]
    questions = add_questions(
        lake, [Question(one.row.id, one.row.question, one.row.topic or "") for one in rows]
    )
    judged = list(_judgments(rows))
    known, refused = load_judgments(lake, [j for j, _ in judged], [o for _, o in judged])
    answered = [one for one in rows if one.row.answers]
    answers = add_gold_answers(
        lake, [GoldAnswer(one.row.id, tuple(one.row.answers or ())) for one in answered]
    )
    for named in (True, False):
        rows_of = [one.row for one in answered if ("split" in one.row.model_fields_set) is named]
        if rows_of:
            add_members(lake, [(row.id, row.split) for row in rows_of], named=named)
    found = [
        *rejects,
        *refused,
        *located_rejects(questions, origins),
        *located_rejects(answers, [one.origin for one in answered]),
    ]
    return ImportReport(
        questions=accepted(questions),
        judgments=known.by_split,
        questions_with_passages=known.questions,
        answers=accepted(answers),
        unread_fields=_unread(rows),
        rejects=keep_rejects(lake, found),
    )


def _unread(rows: Sequence[Located[_GoldRow]]) -> dict[str, int]:
    """Field → lines that have it, the most frequent first."""
    return dict(Counter(name for one in rows for name in one.row.model_extra or ()).most_common())


def _with_stored_ids(screen: Screen, rows: Sequence[Located[_GoldRow]]) -> list[Located[_GoldRow]]:
    ids = stored_ids(screen, [one.row.question for one in rows])
    return [
        one
        if one.row.question_id
        else replace(one, row=one.row.model_copy(update={"question_id": made}))
        for one, made in zip(rows, ids, strict=True)
    ]


def _judgments(rows: Sequence[Located[_GoldRow]]) -> Iterator[tuple[Judgment, Origin]]:
    for one in rows:
        for passage_id, grade in one.row.passages.items():
            yield Judgment(one.row.id, passage_id, grade, one.row.split), one.origin
