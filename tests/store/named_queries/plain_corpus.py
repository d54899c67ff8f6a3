"""Corpus, questions and gold."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from typing import Any

from ragdiag.errors import StoreError, UnknownName
from ragdiag.records import Passage, PassageMetadata, Question
from ragdiag.store import corpus, gold, gold_marks, judgments, logged_passages, word_counts
from tests.store.named_queries.known import Given, Known, Row, aware, given, in_order, plain
from tests.store.named_queries.random_store import FOREIGN, PASSAGES, QUESTIONS, START, WORDS

NAMES = [*PASSAGES, *FOREIGN, "unknown"]


def passage(row: Row) -> Passage:
    metadata = PassageMetadata(
        row.get("tenant") or "",
        row.get("topic") or "",
        aware(row.get("published_at")),
        tuple(row.get("roles") or ()),
    )
    own = ("passage_id", "document_id", "text", "title", "position")
    return Passage(*(row[name] for name in own), metadata)


@plain(corpus.load_passages)
def load_passages(known: Known) -> list[Passage]:
    rows = sorted(known.current, key=in_order("document_id", "position", "passage_id"))
    return [passage(row) for row in rows]


@plain(corpus.load_contents)
def load_contents(known: Known) -> dict[str, str]:
    return {row["passage_id"]: row["content_hash"] for row in known.current}


@plain(corpus.load_passages_by_id, lambda _: [given(NAMES), given([])])
def load_passages_by_id(known: Known, names: list[str]) -> dict[str, Passage]:
    """The current one, else the one removed last; of those the one that came last."""
    found: dict[str, Row] = {}
    for row in sorted(known["passages"], key=in_order("removed_at", "ingested_at")):
        if row["removed_at"] is not None:
            found[row["passage_id"]] = row
    found |= {row["passage_id"]: row for row in known.current}
    return {name: passage(found[name]) for name in names if name in found}


@plain(
    corpus.load_build_passages,
    lambda known: [
        given([(row["passage_id"], row["content_hash"]) for row in known["passages"][::2]]),
        given([(PASSAGES[0], "no such hash")]),
    ],
)
def load_build_passages(known: Known, pairs: list[tuple[str, str]]) -> list[Passage]:
    there: dict[tuple[str, str], Row] = {}
    for row in known["passages"]:
        old = there.get((row["passage_id"], row["content_hash"]))
        if old is None or (old["removed_at"] or datetime.max) <= (
            row["removed_at"] or datetime.max
        ):
            there[row["passage_id"], row["content_hash"]] = row
    if any(pair not in there for pair in pairs):
        raise StoreError("", remedy="")
    return [passage(there[pair]) for pair in pairs]


@plain(corpus.removed_passages, lambda _: [given(NAMES)])
def removed_passages(known: Known, names: list[str]) -> set[str]:
    return set(names) - {row["passage_id"] for row in known.current}


@plain(
    corpus.unknown_documents,
    lambda known: [
        given(["no such", *sorted({row["document_id"] for row in known["passages"]}), "no such"]),
        given([]),
    ],
)
def unknown_documents(known: Known, names: list[str]) -> list[str]:
    held = {row["document_id"] for row in known["passages"]}
    return [name for name in dict.fromkeys(names) if name not in held]


@plain(
    corpus.load_successor_metadata,
    lambda known: [given([passage(row) for row in known["passages"]])],
)
def load_successor_metadata(known: Known, passages: list[Passage]) -> dict[str, PassageMetadata]:
    now = {row["passage_id"]: row for row in known.current}
    return {
        one.passage_id: passage(now[one.passage_id]).metadata
        for one in passages
        if one.passage_id in now and now[one.passage_id]["content_hash"] != one.content_hash
    }


@plain(corpus.removal_mark)
def removal_mark(known: Known) -> tuple[int, str]:
    removed = [row["removed_at"] for row in known["passages"] if row["removed_at"] is not None]
    return len(removed), str(max(removed, default=None))


def words_of(row: Row) -> set[str]:
    return set(re.findall(r"\w+", f"{row['title']} {row['text']}".lower()))


@plain(word_counts.passages_holding, lambda _: [given([w.lower() for w in WORDS]), given([])])
def passages_holding(known: Known, words: list[str]) -> dict[str, int]:
    held = Counter(word for row in known.current for word in words_of(row))
    return {word: held[word] for word in words if held[word]}


@plain(word_counts.count_passages)
def count_passages(known: Known) -> int:
    return len(known.current)


MOMENTS = [START.replace(tzinfo=None), datetime(2100, 1, 1)]


@plain(logged_passages.logged_passages_at, lambda _: [given(NAMES, moment) for moment in MOMENTS])
def logged_passages_at(known: Known, names: list[str], at: datetime) -> dict[str, Row]:
    columns = ("passage_id", "document_id", "title", "text")
    found: dict[str, Row] = {}

    def distance(row: Row) -> tuple[float, str]:
        return abs((row["logged_at"] - at).total_seconds()), row["content_hash"]

    for row in sorted(known["logged_passages"], key=distance):
        if row["passage_id"] in names and row["passage_id"] not in found:
            found[row["passage_id"]] = {name: row[name] for name in columns} | {"removed_at": None}
    return found


@plain(logged_passages.load_logged_passages, lambda _: [given(NAMES)])
def load_logged_passages(known: Known, names: list[str]) -> dict[str, Passage]:
    found: dict[str, Row] = {}
    for row in sorted(known["logged_passages"], key=in_order("content_hash")):
        old = found.get(row["passage_id"])
        if row["passage_id"] in names and (old is None or row["logged_at"] > old["logged_at"]):
            found[row["passage_id"]] = row
    return {name: passage(row) for name, row in found.items()}


@plain(logged_passages.named_elsewhere, lambda _: [given(NAMES)])
def named_elsewhere(known: Known, names: list[str]) -> dict[str, str]:
    found = {}
    for name in names:
        texts = {row["text"] for row in known["logged_passages"] if row["passage_id"] == name}
        for rows in (known.current, known["logged_passages"]):  # what a log says comes first
            others = [row["passage_id"] for row in rows if row["text"] in texts]
            named = [other for other in others if not other.startswith("text:")]
            if named:
                found[name] = min(named)
    return found


@plain(gold.load_gold_answers)
def load_gold_answers(known: Known) -> dict[str, tuple[str, ...]]:
    return {row["question_id"]: tuple(row["answers"]) for row in known["gold_answers"]}


def gold_of(known: Known, question_id: str | None) -> tuple[set[str], list[str]]:
    """The passages of the highest grade above 0, and the accepted answers."""
    judged = [row for row in known["judgments"] if row["question_id"] == question_id]
    best = max((row["grade"] for row in judged), default=0)
    golds = {row["passage_id"] for row in judged if row["grade"] == best > 0}
    answers = [r["answers"] for r in known["gold_answers"] if r["question_id"] == question_id]
    return golds, answers[0] if answers else []


@plain(gold_marks.load_gold_marks, lambda known: [given([*known.request, "unknown"])])
def load_gold_marks(known: Known, names: list[str]) -> dict[str, str]:
    asked = {name: known.request[name].question_id for name in names if name in known.request}
    return {name: gold_marks.gold_mark(*gold_of(known, asked.get(name))) for name in names}


@plain(judgments.split_sizes)
def split_sizes(known: Known) -> dict[str, int]:
    answerable = {(r["split"], r["question_id"]) for r in known["judgments"] if r["grade"] > 0}
    return dict(Counter(split for split, _ in answerable))


def each_split(known: Known) -> list[Given]:
    return [given(), given("test"), given("dev")]


@plain(judgments.load_questions, lambda known: [*each_split(known), given("no such split")])
def load_questions(known: Known, split: str | None = None) -> list[Question]:
    held = {question_id for of, question_id in known.members if of == split}
    rows = sorted(known["questions"], key=in_order("question_id"))
    kept = [row for row in rows if split is None or row["question_id"] in held]
    if split is not None and not kept:
        raise UnknownName("", remedy="")
    return [Question(row["question_id"], row["text"], row["topic"]) for row in kept]


@plain(judgments.find_question, lambda _: [given("What is this?"), given("What is that?")])
def find_question(known: Known, text: str) -> str | None:
    named = [row["question_id"] for row in known["questions"] if row["text"] == text]
    return min(named, default=None)


@plain(judgments.load_judgments, each_split)
def load_judgments(known: Known, split: str | None = None) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in sorted(known["judgments"], key=in_order("grade")):
        if split in (None, row["split"]):
            found.setdefault(row["question_id"], {})[row["passage_id"]] = row["grade"]
    return found


@plain(judgments.highest_grades, lambda _: [given(QUESTIONS[:4])])
def highest_grades(known: Known, names: list[str]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for row in known["judgments"]:
        pair = row["question_id"], row["passage_id"]
        if row["question_id"] in names:
            found[pair] = max(row["grade"], found.get(pair, 0))
    return found


@plain(judgments.splits)
def splits(known: Known) -> list[Any]:
    return sorted({split for split, _ in known.members})


@plain(judgments.load_members, lambda _: [given(None), given("test"), given("answers")])
def load_members(known: Known, split: str | None = None) -> list[str]:
    return sorted({one for of, one in known.members if split in (None, of)})
