"""People's labels from files: every line counts or says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragdiag.errors import InputError
from ragdiag.workflows.grading.human_labels import read_labels


def test_lines_of_requests_and_of_items(tmp_path: Path) -> None:
    lines: list[object] = [
        {"request_id": "r1", "label": True},
        {"request_id": "r2", "label": "wrong", "unknown": 1},
        {"item_id": 3, "label": 1, "answer": "7", "answers": "seven", "context": ["a", "b"]},
        {"request_id": "r1", "label": 1},
        {"request_id": "r4", "label": 0},
        {"request_id": "r4", "label": 1},
        {"request_id": "r5", "label": None},
        {"request_id": "r6", "item_id": "i6", "label": 1},
        {"item_id": "i7", "label": 1},
        {"request_id": "r8"},
        [1],
    ]
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n{half\n")
    read = read_labels(path)
    assert read.labels == {"r1": 1, "r2": 0, "3": 1}
    assert read.tied == 1
    assert read.items["3"].golds == ("seven",)
    assert [passage.text for passage in read.items["3"].context] == ["a", "b"]
    assert [reject.line for reject in read.rejects] == [7, 8, 9, 10, 11, 12]
    assert "needs its answer" in read.rejects[2].reason


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('request_id,label\nr1,1\nr2,"no"\nr3\nr4,\n', encoding="utf-8-sig")
    read = read_labels(path)
    assert read.labels == {"r1": 1, "r2": 0}
    assert [reject.line for reject in read.rejects] == [4, 5]


def test_another_answer_under_the_same_id_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(
        "item_id,label,answer,answers\n"
        "x1,true,Paris,Paris\nx1,false,Rome,Rome\nx1,true,Paris,Paris\nx1,true, Paris ,\n"
    )
    read = read_labels(path)
    assert (read.labels, read.items["x1"].answer) == ({"x1": 1}, "Paris")
    assert [reject.line for reject in read.rejects] == [3], "what is left out is no other answer"
    assert "item_id 'x1' stands for something else in an earlier line (answer 'Paris')" in (
        read.rejects[0].reason
    )


def test_the_chance_that_a_line_was_drawn_with_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(
        "request_id,label,propensity\nr1,1,0.4\nr1,1,\nr2,0,1\nr2,0,0.5\nr3,0,\nr4,1,0\nr5,1,x\n"
    )
    read = read_labels(path)
    assert read.labels == {"r1": 1, "r2": 0, "r3": 0}
    assert read.chances == {"r1": 0.4, "r2": None}, "one that was drawn twice has none of its own"
    assert [reject.line for reject in read.rejects] == [7, 8]
    assert "propensity 0 is no chance" in read.rejects[0].reason


def test_a_file_without_labels_says_what_is_wrong_with_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"request_id": "r1", "label": "perhaps"}\n')
    with pytest.raises(InputError, match=r"says neither right nor wrong .*line 1"):
        read_labels(path)
    with pytest.raises(InputError, match="cannot read"):
        read_labels(tmp_path / "missing.csv")
