"""Gold that comes with a log: which passages it names, and what of it may be stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragdiag.drift.weekly import estimates, weekly_cells
from ragdiag.importers.gold import import_gold
from ragdiag.importers.logs.gold_loading import IMPORTED_SPLIT
from ragdiag.importers.logs.import_logs import import_logs
from ragdiag.privacy.hiding import is_hidden
from ragdiag.privacy.pseudonyms import user_key
from ragdiag.records import Judgment, Passage, Request
from ragdiag.settings import Workspace
from ragdiag.spans.documents import text_id
from ragdiag.store.corpus import add_documents, add_judgments, load_gold_answers, load_judgments
from ragdiag.store.judgments import load_questions
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.results import find_served_version
from ragdiag.store.upkeep.forgotten import REASON, add_forgotten, user_tombstone
from tests.diagnosed import diagnose
from tests.importers.logs.conftest import Import, contents

Stored = Callable[[], dict[str, Request]]
Write = Callable[..., Path]

NAPS, DUSK, PURR = "Cats sleep fifteen hours a day.", "They hunt at dusk.", "Cats purr at 25 hertz."
RAGAS: dict[str, Any] = {
    "user_input": "How long do cats sleep?",
    "retrieved_contexts": [DUSK, NAPS],
    "reference_contexts": [NAPS],
    "response": "All night.",
    "reference": "fifteen hours",
}
MISSED = {
    **RAGAS,
    "user_input": "At what pitch do cats purr?",
    "reference_contexts": [PURR],
    "reference": "25 hertz",
}


def test_neither_gold_nor_passages_of_a_forgotten_user_come_back(
    load: Import, lake: Lake, workspace: Workspace, write_lines: Write
) -> None:
    rows = [
        {"id": user, "user": user, "question": f"{user}?", "answer": "a", "gold_answer": user}
        | {"contexts": [DUSK, f"The file of {user}."], "time": "2026-01-05T12:00:00Z"}
        for user in ("bob", "ann")
    ]
    forgotten = user_tombstone(workspace, user_key(workspace, "ann"))
    lake.write(lambda cursor: add_forgotten(cursor, [forgotten]))
    report = load(write_lines("log.jsonl", *rows[::-1]))
    assert [one.reason for one in report.rejects] == [REASON]
    assert list(load_gold_answers(lake).values()) == [("bob",)]
    assert [question.text for question in load_questions(lake)] == ["bob?"]
    texts = {row["text"] for row in lake.rows("select text from logged_passages")}
    assert texts == {DUSK, "The file of bob."}


def test_a_ragas_table_brings_its_gold_passages(
    load: Import, lake: Lake, workspace: Workspace, write_lines: Write
) -> None:
    path = write_lines("ragas.jsonl", RAGAS, MISSED)
    report = load(path)
    assert report.unread_columns == {}
    assert {kind: count.new for kind, count in report.kinds.items()} == {
        "request": 2,
        "passage": 3,
        "grade": 2,
        "question": 2,
        "gold_answer": 2,
        "judgment": 2,
    }
    found = lake.rows("select question, rel from requests order by question desc")
    assert [row["rel"] for row in found] == [[0, 1], [0, 0]]
    summary = diagnose(
        lake, workspace, find_served_version(lake, "unversioned"), traffic="evaluation"
    )
    assert summary.causes == {"in_context": 1, "beyond_logged_depth": 1}
    assert {row["tier"] for row in lake.rows("select tier from verdicts")} == {"B"}
    assert not any("no gold passages" in gap for gap in report.gaps)
    before = contents(lake) | {"judgments": lake.rows("from judgments order by all")}
    again = load(path)
    assert (again.kinds["judgment"].new, again.kinds["judgment"].repeated) == (0, 2)
    assert contents(lake) | {"judgments": lake.rows("from judgments order by all")} == before


def test_a_question_may_be_asked_of_another_topic_but_not_with_other_gold(
    load: Import, stored: Stored, write_lines: Write
) -> None:
    said = {"question": "q?", "answer": "no", "gold_answer": "yes", "time": 0, "topic": "cats"}
    rows = [{**said, "id": "a"}, {**said, "id": "b", "topic": "pets"}]
    report = load(write_lines("log.jsonl", *rows, {**said, "id": "c", "gold_answer": "no"}))
    assert {name: one.topic for name, one in stored().items()} == {"a": "cats", "b": "pets"}
    (reject,) = report.rejects
    assert reject.line == 3
    assert "was given before with another text or other gold" in reject.reason


def test_a_gold_text_is_the_passage_that_has_it(
    load: Import, lake: Lake, write_lines: Write
) -> None:
    """In the row, in another row, in the corpus; else it is named by itself."""
    add_documents(lake, [Passage("cats#2", "cats", PURR)])
    named = {"id": "p7", "text": NAPS}
    load(
        write_lines(
            "table.jsonl",
            {"qid": "row", "question": "q1", "contexts": [named], "gold_contexts": [NAPS]},
            {"qid": "other", "question": "q2", "dense": ["p9"], "gold_contexts": [NAPS, ""]},
            {"qid": "corpus", "question": "q3", "dense": ["p9"], "gold_contexts": [PURR]},
            {"qid": "bare", "question": "q4", "gold_contexts": [PURR]},
            {"qid": "text", "question": "q5", "contexts": [DUSK], "gold_contexts": [PURR]},
            {"qid": "none", "question": "q6", "dense": ["p9"], "gold_contexts": ["Cats swim."]},
        )
    )
    assert load_judgments(lake, IMPORTED_SPLIT) == {
        "row": {"p7": 1},
        "other": {"p7": 1},
        "corpus": {"cats#2": 1},
        "bare": {"cats#2": 1},
        "text": {text_id(PURR): 1},
        "none": {text_id("Cats swim."): 1},
    }


def test_gold_may_be_known_by_its_ids_alone(
    load: Import, lake: Lake, workspace: Workspace, write_lines: Write
) -> None:
    """Else only what was retrieved would be gold, and recall be perfect."""
    row = {"qid": "q", "question": "q?", "answer": "no", "gold_answer": "yes", "fused": ["c", "a"]}
    load(write_lines("table.jsonl", {**row, "gold_contexts": [{"id": "a"}, {"id": "b"}]}))
    assert load_judgments(lake) == {"q": {"a": 1, "b": 1}}
    ((_, found),) = estimates(weekly_cells(lake, Filters()), "recall@10")["all"]
    assert found.value == 0.5
    version = find_served_version(lake, "unversioned")
    assert diagnose(lake, workspace, version, traffic="evaluation").causes == {"packing": 1}


def test_a_text_makes_known_what_was_retrieved_by_its_id(
    load: Import, lake: Lake, write_lines: Write
) -> None:
    row = {
        "qid": "q",
        "question": "q?",
        "dense": ["a"],
        "gold_contexts": [{"id": "a", "text": NAPS}],
    }
    load(write_lines("table.jsonl", row))
    assert lake.rows("select passage_id, text from logged_passages") == [
        {"passage_id": "a", "text": NAPS}
    ]


def test_what_was_judged_by_hand_stays(load: Import, lake: Lake, write_lines: Write) -> None:
    path = write_lines("table.jsonl", {**RAGAS, "question_id": "q"})
    load(path)
    graded = [Judgment("q", text_id(NAPS), 3, "test"), Judgment("q", text_id(DUSK), 0, "test")]
    add_judgments(lake, graded)
    load(path)
    assert load_judgments(lake, IMPORTED_SPLIT) == {"q": {text_id(NAPS): 3}}
    assert load_judgments(lake, "test") == {"q": {text_id(NAPS): 3, text_id(DUSK): 0}}


def test_a_dry_run_counts_gold_passages(write_lines: Write, tmp_path: Path) -> None:
    report = import_logs(None, Workspace(tmp_path / "none"), write_lines("ragas.jsonl", RAGAS))
    assert report.format == "evaluation"
    assert report.kinds["judgment"].new == 1


MAIL = "ann@example.org"
TELLING: dict[str, Any] = {
    "user_input": f"Who is {MAIL}?",
    "retrieved_contexts": [f"Write to {MAIL}."],
    "reference_contexts": [f"{MAIL} is Ann."],
    "response": "Nobody.",
    "reference": f"{MAIL} is Ann",
}


def everything(lake: Lake, workspace: Workspace) -> str:
    """Every row of the lake and every byte of the spool, as one text."""
    tables = [row["table_name"] for row in lake.rows("select table_name from duckdb_tables()")]
    rows = [lake.rows(f"from {table}") for table in tables if not table.startswith("ducklake")]
    files = [path.read_bytes() for path in workspace.spool.rglob("*") if path.is_file()]
    return repr(rows) + repr(files)


def plain_id(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()[:12]


def test_gold_is_redacted_as_the_log_is(
    load: Import, stored: Stored, lake: Lake, workspace: Workspace, write_lines: Write
) -> None:
    load(write_lines("ragas.jsonl", {**TELLING, "topic": MAIL}))
    assert MAIL not in everything(lake, workspace)
    (question,) = load_questions(lake)
    (request,) = stored().values()
    assert question.text == request.question == "Who is [email]?"
    assert request.question_id == question.question_id != f"q-{plain_id(TELLING['user_input'])}"
    assert load_gold_answers(lake) == {question.question_id: ("[email] is Ann",)}
    assert load_judgments(lake).keys() == {question.question_id}


@pytest.mark.parametrize("row", [TELLING, {**TELLING, "time": 0}], ids=["evaluation", "production"])
def test_where_texts_are_not_stored_no_log_brings_them(
    load: Import,
    stored: Stored,
    lake: Lake,
    workspace: Workspace,
    write_lines: Write,
    row: dict[str, Any],
) -> None:
    workspace.configuration.write_text("[privacy]\nredact = []\nstore_text = false\n")
    path = write_lines("ragas.jsonl", row)
    load(path)
    kept = everything(lake, workspace)
    for raw in (MAIL, "Nobody.", plain_id(row["user_input"])):
        assert raw not in kept
    (request,) = stored().values()
    ((question_id, text),) = [
        (q["question_id"], q["text"]) for q in lake.rows("from questions order by all")
    ]
    assert is_hidden(text)
    assert (request.question, request.question_id) == (text, question_id)
    assert load_gold_answers(lake) == {}
    assert lake.rows("select y from grades") == [{"y": 0}], "it was graded while it was told"
    assert load_judgments(lake).keys() == {question_id}
    before = contents(lake)
    load(path)
    assert contents(lake) == before


def test_what_is_not_stored_is_still_located(
    load: Import, lake: Lake, workspace: Workspace, write_lines: Write
) -> None:
    workspace.configuration.write_text("[privacy]\nstore_text = false\n")
    load(write_lines("ragas.jsonl", RAGAS))
    version = find_served_version(lake, "unversioned")
    assert diagnose(lake, workspace, version, traffic="evaluation").causes == {"in_context": 1}
    assert lake.rows("select verdict, tier from verdicts") == [
        {"verdict": "undetermined", "tier": "B"}
    ]


def test_a_question_of_ones_own_meets_the_log_of_it(
    load: Import, stored: Stored, lake: Lake, workspace: Workspace, write_lines: Write
) -> None:
    workspace.configuration.write_text("[privacy]\nstore_text = false\n")
    load(write_lines("log.jsonl", {**RAGAS, "time": 0}))
    (request,) = stored().values()
    asked, own = RAGAS["user_input"], "Do dogs swim?"
    gold = write_lines(
        "gold.jsonl",
        {"question": asked, "answers": ["fifteen hours"]},
        {"question": own, "answers": ["They do."]},
    )
    import_gold(lake, gold)
    texts = {one.question_id: one.text for one in load_questions(lake)}
    assert texts.pop(request.question_id or "") == request.question
    ((own_id, text),) = texts.items()
    assert text == own
    assert load_gold_answers(lake) == {own_id: ("They do.",)}
    assert asked not in everything(lake, workspace)
