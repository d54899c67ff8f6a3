"""BEIR folders: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv and, beside the standard,
answers.jsonl.

    corpus.jsonl    {"_id", "title"?, "text", "metadata"?: {"document_id"?, …}}   one passage a line
    queries.jsonl   {"_id", "text", "metadata"?: {"topic"?}}
    qrels/S.tsv     query-id, corpus-id, score (a whole number from 0), tabs between; S is the split
    answers.jsonl   {"query_id", "answers": [one or more]}

A passage is a document of its own unless its metadata says which it belongs to; what else they may
say is in metadata.py. Source: Thakur et
al. 2021, "BEIR: A Heterogeneous Benchmark for Zero-shot Evaluation of IR Models".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field

from ragdiag.errors import InputError
from ragdiag.importers.jsonl import Identifier, Located, Row, Text, Texts, read_lines, read_rows
from ragdiag.importers.metadata import MetadataRow, read_metadata
from ragdiag.importers.report import (
    ImportReport,
    Judged,
    Origin,
    accepted,
    keep_rejects,
    load_documents,
    load_judgments,
    located_rejects,
)
from ragdiag.progress import Progress, report
from ragdiag.records import GoldAnswer, Judgment, Passage, Question, Reject
from ragdiag.store.gold import add_gold_answers, add_questions
from ragdiag.store.judgments import HIGHEST_GRADE
from ragdiag.store.lake import Lake

QRELS_HEADERS = {"query-id", "query_id", "qid"}


class _PassageMetadata(MetadataRow):
    document_id: Identifier | None = None


class _PassageRow(Row):
    id: Identifier = Field(alias="_id")
    title: str | None = None
    text: Text
    metadata: _PassageMetadata | None = None


class _QuestionMetadata(Row):
    topic: str | None = None


class _QuestionRow(Row):
    id: Identifier = Field(alias="_id")
    text: Text
    metadata: _QuestionMetadata | None = None


class _AnswerRow(Row):
    query_id: Identifier
    answers: Texts


def import_beir(lake: Lake, directory: Path, progress: Progress | None = None) -> ImportReport:
    """Load a BEIR folder; importing it again changes nothing.

    A bad line becomes a reject and the rest is loaded. Raises InputError where corpus.jsonl or
    queries.jsonl is missing.
    """
    for name in ("corpus.jsonl", "queries.jsonl"):
        if not (directory / name).is_file():
            raise InputError(
                f"{directory} has no {name}, so it is no BEIR folder",
                remedy="name a folder with corpus.jsonl and queries.jsonl, or use import corpus",
            )
    report(progress, 0.0, "reading passages")
    loaded, rejects = _import_passages(lake, directory / "corpus.jsonl")
    report(progress, 0.5, f"{loaded.passages} passages; reading questions")
    questions, bad_questions = _import_questions(lake, directory / "queries.jsonl")
    report(progress, 0.65, f"{questions} questions; reading judgments")
    judged, bad_judgments = _import_judgments(lake, directory / "qrels")
    report(progress, 0.85, f"{sum(judged.by_split.values())} judgments; reading answers")
    answers, bad_answers = _import_answers(lake, directory / "answers.jsonl")
    rejected = keep_rejects(lake, [*rejects, *bad_questions, *bad_judgments, *bad_answers])
    report(progress, 1.0, "imported")
    return replace(
        loaded,
        questions=questions,
        judgments=judged.by_split,
        questions_with_passages=judged.questions,
        answers=answers,
        rejects=rejected,
    )


def read_pairs(directory: Path, split: str = "train") -> list[tuple[Question, Passage]]:
    """Every question of a folder's ``split`` with each passage that answers it, kept in no lake;
    lines that are none are passed over. Raises InputError where a file cannot be read."""
    passages = {
        one.passage_id: one
        for one in _passages(read_rows(directory / "corpus.jsonl", _PassageRow, lambda r: r.id)[0])
    }
    rows = read_rows(directory / "queries.jsonl", _QuestionRow, lambda r: r.id)[0]
    questions = {one.row.id: Question(one.row.id, one.row.text) for one in rows}
    judged = [row for _, row in _read_judgments(directory / "qrels" / f"{split}.tsv")]
    return [
        (questions[row.question_id], passages[row.passage_id])
        for row in judged
        if isinstance(row, Judgment)
        and row.grade
        and row.question_id in questions
        and row.passage_id in passages
    ]


def _import_passages(lake: Lake, path: Path) -> tuple[ImportReport, list[Reject]]:
    rows, rejects = read_rows(path, _PassageRow, key=lambda row: row.id)
    loaded, refused = load_documents(
        lake, list(_passages(rows)), [located.origin for located in rows]
    )
    return loaded, rejects + refused


def _passages(rows: Sequence[Located[_PassageRow]]) -> Iterator[Passage]:
    """Positions count the passages of a document in the order of the file."""
    met: Counter[str] = Counter()
    for located in rows:
        row = located.row
        document_id = (row.metadata and row.metadata.document_id) or row.id
        known = read_metadata(row.metadata)
        yield Passage(row.id, document_id, row.text, row.title or "", met[document_id], known)
        met[document_id] += 1


def _import_questions(lake: Lake, path: Path) -> tuple[int, list[Reject]]:
    rows, rejects = read_rows(path, _QuestionRow, key=lambda row: row.id)
    questions = [
        Question(row.id, row.text, (row.metadata and row.metadata.topic) or "")
        for row in (located.row for located in rows)
    ]
    change = add_questions(lake, questions)
    refused = located_rejects(change, [located.origin for located in rows])
    return accepted(change), rejects + refused


def _import_judgments(lake: Lake, folder: Path) -> tuple[Judged, list[Reject]]:
    """Judgments of every split; no folder, no judgments."""
    judged: list[tuple[Judgment, Origin]] = []
    rejects: list[Reject] = []
    for path in sorted(folder.glob("*.tsv")):
        for origin, row in _read_judgments(path):
            if isinstance(row, str):
                rejects.append(origin.reject(row))
            else:
                judged.append((row, origin))
    found, refused = load_judgments(lake, [j for j, _ in judged], [o for _, o in judged])
    return found, rejects + refused


def _read_judgments(path: Path) -> Iterator[tuple[Origin, Judgment | str]]:
    """Each line but the header: its judgment, or the reason why it is none."""
    first_line: dict[tuple[str, str], int] = {}
    for origin, fault in read_lines(path):
        cells = [cell.strip() for cell in origin.body.split("\t")]
        if origin.line == 1 and cells[0].lower() in QRELS_HEADERS:
            continue
        row = fault or _parse_judgment(cells, path.stem)
        if isinstance(row, Judgment):
            earlier = first_line.setdefault((row.question_id, row.passage_id), origin.line)
            if earlier != origin.line:
                row = f"judged before, on line {earlier}"
        yield origin, row


def _parse_judgment(cells: Sequence[str], split: str) -> Judgment | str:
    """The judgment in a line's cells, or the reason why it is none."""
    if len(cells) != 3:
        return f"{len(cells)} columns instead of query-id, corpus-id, score with tabs between"
    if not (cells[0] and cells[1]):
        return "the query-id or the corpus-id is empty"
    if not re.fullmatch(r"[0-9]{1,9}", cells[2]) or int(cells[2]) > HIGHEST_GRADE:
        return f"the score {cells[2][:20]!r} is not a whole number from 0 to {HIGHEST_GRADE}"
    return Judgment(cells[0], cells[1], int(cells[2]), split)


def _import_answers(lake: Lake, path: Path) -> tuple[int, list[Reject]]:
    if not path.is_file():
        return 0, []
    rows, rejects = read_rows(path, _AnswerRow, key=lambda row: row.query_id)
    answers = [GoldAnswer(one.row.query_id, tuple(one.row.answers)) for one in rows]
    change = add_gold_answers(lake, answers)
    refused = located_rejects(change, [located.origin for located in rows])
    return accepted(change), rejects + refused
