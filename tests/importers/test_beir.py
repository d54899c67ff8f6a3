"""BEIR folders: what is loaded, what becomes a reject, and that nothing happens twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ragdiag.errors import InputError
from ragdiag.importers.beir import import_beir, read_pairs
from ragdiag.importers.jsonl import MAX_LINE_BYTES
from ragdiag.records import Passage, Question
from ragdiag.store.corpus import (
    load_gold_answers,
    load_judgments,
    load_passages,
    load_questions,
    splits,
)
from ragdiag.store.lake import Lake

WriteLines = Callable[..., Path]
HEADER = "query-id\tcorpus-id\tscore"


@pytest.fixture
def folder(write_lines: WriteLines) -> Path:
    """Two passages of one article and one of another; two questions, two splits."""
    write_lines(
        "beir/corpus.jsonl",
        {"_id": "a1", "title": "A", "text": "First.", "metadata": {"document_id": "a"}},
        {"_id": "b", "text": "Other."},
        {"_id": "a2", "title": "A", "text": "Second.", "metadata": {"document_id": "a"}},
    )
    write_lines(
        "beir/queries.jsonl",
        {"_id": "q1", "text": "Which is first?", "metadata": {"topic": "order"}},
        {"_id": "q2", "text": "Which is other?"},
    )
    write_lines("beir/qrels/train.tsv", HEADER, "q1\ta1\t2", "q1\ta2\t0")
    write_lines("beir/qrels/test.tsv", HEADER, "q2\tb\t1")
    return write_lines("beir/answers.jsonl", {"query_id": "q1", "answers": ["First", "1st"]}).parent


def stored_rejects(lake: Lake) -> int:
    return int(lake.rows("select count(*) as n from rejects")[0]["n"])


def test_everything_is_loaded(lake: Lake, folder: Path) -> None:
    report = import_beir(lake, folder)
    assert load_passages(lake) == [
        Passage("a1", "a", "First.", "A", 0),
        Passage("a2", "a", "Second.", "A", 1),
        Passage("b", "b", "Other."),
    ]
    assert load_questions(lake) == [
        Question("q1", "Which is first?", "order"),
        Question("q2", "Which is other?"),
    ]
    assert splits(lake) == ["test", "train"]
    assert load_judgments(lake, "train") == {"q1": {"a1": 2, "a2": 0}}
    assert load_judgments(lake, "test") == {"q2": {"b": 1}}
    assert load_gold_answers(lake) == {"q1": ("First", "1st")}
    assert report.to_json() == {
        "documents": 2,
        "passages": 3,
        "added": 3,
        "replaced": 0,
        "removed": 0,
        "unchanged": 0,
        "questions": 2,
        "judgments": {"test": 1, "train": 2},
        "questions_with_passages": 2,
        "answers": 1,
        "skipped": 0,
        "unread_fields": {},
        "rejects": [],
    }


def test_pairs_of_a_split_are_read_without_a_lake(folder: Path) -> None:
    (pair,) = read_pairs(folder)
    assert pair == (Question("q1", "Which is first?"), Passage("a1", "a", "First.", "A"))
    with pytest.raises(InputError, match=r"cannot read .*dev.tsv"):
        read_pairs(folder, "dev")


def test_importing_again_changes_nothing(lake: Lake, folder: Path, write_lines: WriteLines) -> None:
    write_lines("beir/qrels/dev.tsv", HEADER, "q1\tnowhere\t1")
    import_beir(lake, folder)
    snapshot = lake.snapshot()
    again = import_beir(lake, folder)
    assert lake.snapshot() == snapshot
    assert (again.added, again.replaced, again.removed, again.unchanged) == (0, 0, 0, 3)
    assert (again.questions, again.judgments, again.answers) == (2, {"test": 1, "train": 2}, 1)
    assert len(again.rejects) == stored_rejects(lake) == 1


def test_a_document_is_replaced_as_a_whole(
    lake: Lake, folder: Path, write_lines: WriteLines
) -> None:
    import_beir(lake, folder)
    write_lines(
        "beir/corpus.jsonl",
        {"_id": "a1", "title": "A", "text": "Changed.", "metadata": {"document_id": "a"}},
    )
    report = import_beir(lake, folder)
    assert (report.added, report.replaced, report.removed, report.unchanged) == (0, 1, 1, 0)
    assert [(p.passage_id, p.text) for p in load_passages(lake)] == [
        ("a1", "Changed."),
        ("b", "Other."),
    ]


BAD_PASSAGES: list[tuple[object, str]] = [
    ("{broken", "not JSON"),
    ("[1, 2]", "Input should be an object"),
    (b'{"_id": "x", "text": "\xff"}', "not UTF-8 at byte 23 of the line"),
    ({"text": "no id"}, "_id is missing"),
    ({"_id": "x"}, "text is missing"),
    ({"_id": "", "text": "x"}, "_id: empty"),
    ({"_id": " x", "text": "x"}, "_id: has white space at an end"),
    ({"_id": "x\ny", "text": "x"}, "a character that cannot be seen"),
    ({"_id": "x" * 501, "text": "x"}, "_id: longer than 500 characters"),
    ({"_id": "x", "text": " \n "}, "text: empty"),
    ({"_id": "x", "text": 5}, "text: Input should be a valid string"),
    ({"_id": True, "text": "x"}, "_id: Input should be a valid string"),
    ('{"_id": "x", "text": "\\ud800"}', "not JSON"),
    ({"_id": "a1", "text": "again"}, "duplicate id 'a1', first on line 1"),
    ({"_id": "x", "text": "x", "metadata": {"document_id": ""}}, "metadata.document_id: empty"),
    (b"x" * (MAX_LINE_BYTES + 1), "longer than 10000000 bytes"),
]
BAD_QUESTIONS: list[tuple[object, str]] = [
    ("nonsense", "not JSON"),
    ({"text": "no id"}, "_id is missing"),
    ({"_id": "q3", "text": ""}, "text: empty"),
    ({"_id": "q1", "text": "Another?"}, "duplicate id 'q1', first on line 1"),
]
BAD_JUDGMENTS: list[tuple[object, str]] = [
    ("q1\tnowhere\t1", "unknown passage 'nowhere'"),
    ("nobody\ta1\t1", "unknown question 'nobody'"),
    ("q1\tb\t-1", "the score '-1' is not a whole number from 0"),
    ("q1\tb\t1.5", "the score '1.5' is not a whole number from 0"),
    ("q1\tb\thigh", "the score 'high' is not"),
    ("q1\tb\t٣", "is not a whole number"),
    ("q1\tb\t256", "from 0 to 255"),
    ("q1\tb\t" + "9" * 5000, "is not a whole number"),
    ("q1\tb", "2 columns"),
    ("q1 0 b 1", "1 columns instead of query-id, corpus-id, score with tabs between"),
    ("\tb\t1", "the query-id or the corpus-id is empty"),
    ("q1\ta1\t1", "judged before, on line 2"),
    (b"q1\t\xff\t1", "not UTF-8"),
]
BAD_ANSWERS: list[tuple[object, str]] = [
    ({"query_id": "q2", "answers": []}, "answers: an empty list"),
    ({"query_id": "q2", "answers": ["yes", ""]}, "answers.1: empty"),
    ({"query_id": "q2", "answers": "yes"}, "answers: Input should be a valid array"),
    ({"query_id": "nobody", "answers": ["yes"]}, "unknown question 'nobody'"),
    ({"query_id": "q1", "answers": ["2nd"]}, "duplicate id 'q1'"),
    ({"answers": ["yes"]}, "query_id is missing"),
]


def append(path: Path, lines: Sequence[object]) -> list[int]:
    """Write ``lines`` at the end of a file; their line numbers."""
    before = path.read_bytes()
    encoded = (line if isinstance(line, bytes) else as_text(line).encode() for line in lines)
    path.write_bytes(before + b"".join(line + b"\n" for line in encoded))
    first = before.count(b"\n") + 1
    return list(range(first, first + len(lines)))


def as_text(line: object) -> str:
    return line if isinstance(line, str) else json.dumps(line)


@pytest.mark.parametrize(
    ("name", "bad", "good"),
    [
        ("corpus.jsonl", BAD_PASSAGES, {"_id": 7, "text": "After the bad lines."}),
        ("queries.jsonl", BAD_QUESTIONS, {"_id": "q3", "text": "After the bad lines?"}),
        ("qrels/train.tsv", BAD_JUDGMENTS, "q2\ta1\t1"),
        ("answers.jsonl", BAD_ANSWERS, {"query_id": "q2", "answers": ["After", "these"]}),
    ],
    ids=["passages", "questions", "judgments", "answers"],
)
def test_bad_lines_are_rejected_and_the_rest_loads(
    lake: Lake, folder: Path, name: str, bad: Sequence[tuple[object, str]], good: object
) -> None:
    path = folder / name
    *numbers, _ = append(path, [*(line for line, _ in bad), good])
    report = import_beir(lake, folder)
    assert [(Path(r.source), r.line) for r in report.rejects] == [(path, n) for n in numbers]
    for (_, expected), reject in zip(bad, report.rejects, strict=True):
        assert expected in reject.reason
        assert "\n" not in reject.reason
    extra = {n: int(n == name) for n in ("corpus.jsonl", "queries.jsonl", "answers.jsonl")}
    assert report.passages == len(load_passages(lake)) == 3 + extra["corpus.jsonl"]
    assert report.questions == len(load_questions(lake)) == 2 + extra["queries.jsonl"]
    assert report.answers == len(load_gold_answers(lake)) == 1 + extra["answers.jsonl"]
    assert report.judgments == {"test": 1, "train": 3 if name.endswith(".tsv") else 2}
    assert load_judgments(lake, "train")["q1"] == {"a1": 2, "a2": 0}
    assert stored_rejects(lake) == len(bad)


def test_qrels_may_have_no_header_a_byte_order_mark_and_windows_line_ends(
    lake: Lake, folder: Path
) -> None:
    (folder / "qrels/test.tsv").write_bytes(b"\xef\xbb\xbfq2\tb\t1\r\n\r\nq1\tb\t0\r\n")
    assert import_beir(lake, folder).rejects == ()
    assert load_judgments(lake, "test") == {"q1": {"b": 0}, "q2": {"b": 1}}


def test_qrels_and_answers_may_be_missing(lake: Lake, folder: Path) -> None:
    (folder / "answers.jsonl").unlink()
    for path in (folder / "qrels").iterdir():
        path.unlink()
    report = import_beir(lake, folder)
    assert (report.questions, report.judgments, report.answers) == (2, {}, 0)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_a_folder_without_its_files_is_named(lake: Lake, folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"has no {name}") as caught:
        import_beir(lake, folder)
    assert str(folder) in str(caught.value)
    assert load_passages(lake) == []


def test_progress_ends_at_one(lake: Lake, folder: Path) -> None:
    told: list[float] = []
    import_beir(lake, folder, lambda fraction, _: told.append(fraction))
    assert told == sorted(told)
    assert told[-1] == 1.0


@pytest.mark.slow
def test_real_folder(lake: Lake, shared_data: Path) -> None:
    report = import_beir(lake, shared_data / "covidqa")
    assert (report.passages, report.questions, report.answers) == (2661, 1380, 1380)
    assert {split: len(load_judgments(lake, split)) for split in splits(lake)} == {
        "train": 602,
        "test": 778,
    }
    assert report.rejects == ()
    assert import_beir(lake, shared_data / "covidqa").unchanged == 2661
