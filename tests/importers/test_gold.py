"""Gold files: questions, answers and judgments, or the reason why a line is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ragdiag.errors import InputError
from ragdiag.importers.gold import DEFAULT_SPLIT, import_gold
from ragdiag.records import Passage, Question
from ragdiag.store.corpus import (
    add_documents,
    load_gold_answers,
    load_judgments,
    load_questions,
)
from ragdiag.store.judgments import load_members, splits
from ragdiag.store.lake import Lake

WriteLines = Callable[..., Path]


@pytest.fixture(autouse=True)
def _corpus(lake: Lake) -> None:
    add_documents(lake, [Passage(f"cats#{n}", "cats", f"Text {n}.", "", n) for n in range(3)])


def test_everything_is_loaded(lake: Lake, write_lines: WriteLines) -> None:
    path = write_lines(
        "gold.jsonl",
        {
            "question_id": "q1",
            "question": "How long do cats sleep?",
            "answers": ["15 hours", "fifteen hours"],
            "passages": {"cats#0": 2, "cats#1": 0},
            "split": "dev",
            "topic": "sleep",
        },
        {"question_id": 2, "question": "Do they purr?", "passages": ["cats#2"]},
        {"question_id": "q3", "question": "Why?", "answers": ["Nobody knows."]},
    )
    report = import_gold(lake, path)
    assert load_questions(lake) == [
        Question("2", "Do they purr?"),
        Question("q1", "How long do cats sleep?", "sleep"),
        Question("q3", "Why?"),
    ]
    assert load_judgments(lake, "dev") == {"q1": {"cats#0": 2, "cats#1": 0}}
    assert load_judgments(lake, DEFAULT_SPLIT) == {"2": {"cats#2": 1}}
    assert load_gold_answers(lake) == {
        "q1": ("15 hours", "fifteen hours"),
        "q3": ("Nobody knows.",),
    }
    assert (report.questions, report.answers) == (3, 2)
    assert report.judgments == {"dev": 2, DEFAULT_SPLIT: 1}
    assert (report.questions_with_passages, report.unread_fields) == (2, {})
    assert report.rejects == ()
    assert load_members(lake, DEFAULT_SPLIT) == ["2", "q3"]
    assert load_members(lake, "dev") == ["q1"]
    import_gold(lake, path)
    assert len(lake.rows("select * from question_splits")) == 2


def test_a_split_that_nobody_named_holds_a_question_while_no_other_does(
    lake: Lake, write_lines: WriteLines
) -> None:
    judged = {"question_id": "q1", "question": "Why?", "passages": ["cats#0"], "split": "train"}
    answers = [{"question_id": "q1", "question": "Why?", "answers": ["So."]}]
    answers.append({"question_id": "q2", "question": "How?", "answers": ["Thus."]})
    import_gold(lake, write_lines("answers.jsonl", *answers))
    assert load_members(lake, DEFAULT_SPLIT) == ["q1", "q2"]
    import_gold(lake, write_lines("judged.jsonl", judged))
    import_gold(lake, write_lines("answers.jsonl", *answers))
    assert (load_members(lake, DEFAULT_SPLIT), load_members(lake, "train")) == (["q2"], ["q1"])
    import_gold(lake, write_lines("named.jsonl", {**answers[1], "split": "test"}))
    assert splits(lake) == ["test", "train"]


def test_fields_that_nothing_reads_are_named(lake: Lake, write_lines: WriteLines) -> None:
    path = write_lines(
        "gold.jsonl",
        {"question": "Why?", "answers": ["Nobody knows."], "gold_passages": ["cats#0"]},
        {"question": "How?", "answers": ["So."], "gold_passages": ["cats#1"], "gold": "So."},
        {"question": "Who?", "passages": {"cats#0": 0}},
    )
    report = import_gold(lake, path)
    assert report.unread_fields == {"gold_passages": 2, "gold": 1}
    assert (report.questions, report.questions_with_passages) == (3, 0)


def test_a_question_without_an_id_is_named_by_its_text(lake: Lake, write_lines: WriteLines) -> None:
    first = write_lines("one.jsonl", {"question": "Do they purr?", "answers": ["Yes."]})
    import_gold(lake, first)
    snapshot = lake.snapshot()
    assert import_gold(lake, first).questions == 1
    assert lake.snapshot() == snapshot
    better = write_lines("two.jsonl", {"question": "Do they purr?", "answers": ["They do."]})
    import_gold(lake, better)
    (question,) = load_questions(lake)
    assert question.question_id.startswith("q-")
    assert load_gold_answers(lake) == {question.question_id: ("They do.",)}


BAD_LINES: list[tuple[object, str]] = [
    ("{", "not JSON"),
    ({"answers": ["Yes."]}, "question is missing"),
    ({"question": " ", "answers": ["Yes."]}, "question: empty"),
    ({"question": "Why?"}, "neither answers nor passages"),
    ({"question": "Why?", "answers": []}, "answers: an empty list"),
    ({"question": "Why?", "answers": [""]}, "answers.0: empty"),
    ({"question": "Why?", "passages": {}}, "neither answers nor passages"),
    ({"question": "Why?", "passages": {"cats#0": -1}}, "greater than or equal to 0"),
    ({"question": "Why?", "passages": {"cats#0": 1.5}}, "valid integer"),
    ({"question": "Why?", "passages": {"cats#0": True}}, "valid integer"),
    ({"question": "Why?", "passages": {"cats#0": 300}}, "less than or equal to 255"),
    ({"question": "Why?", "passages": [""]}, "empty"),
    ({"question": "Why?", "answers": ["x"], "split": ""}, "split: empty"),
    ({"question_id": "good", "question": "Why?", "answers": ["x"]}, "duplicate id 'good'"),
    ({"question": "Why?", "passages": [["cats#0"]]}, "not a list of ids"),
]


def test_bad_lines_are_rejected_and_the_rest_loads(lake: Lake, write_lines: WriteLines) -> None:
    path = write_lines(
        "gold.jsonl",
        {"question_id": "good", "question": "Good?", "answers": ["Yes."]},
        *(line for line, _ in BAD_LINES),
        {"question_id": "last", "question": "Last?", "answers": ["Yes."]},
    )
    rejects = import_gold(lake, path).rejects
    assert [reject.line for reject in rejects] == list(range(2, 2 + len(BAD_LINES)))
    for (_, expected), reject in zip(BAD_LINES, rejects, strict=True):
        assert expected in reject.reason
    assert [question.question_id for question in load_questions(lake)] == ["good", "last"]


def test_a_judgment_of_an_unknown_passage_is_rejected_alone(
    lake: Lake, write_lines: WriteLines
) -> None:
    line = {"question_id": "q", "question": "Why?", "passages": {"cats#0": 1, "dogs#0": 1}}
    report = import_gold(lake, write_lines("gold.jsonl", line))
    assert [(r.line, r.reason) for r in report.rejects] == [(1, "unknown passage 'dogs#0'")]
    assert load_judgments(lake) == {"q": {"cats#0": 1}}


def test_a_missing_file_is_named(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*gold\.jsonl"):
        import_gold(lake, tmp_path / "gold.jsonl")
