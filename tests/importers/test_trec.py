from __future__ import annotations

import math
from pathlib import Path

import pytest

from ragdiag.errors import InputError
from ragdiag.importers.trec import read_qrels, read_run, read_run_id, write_run
from ragdiag.metrics.trec import score_run
from ragdiag.records import Hit


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.txt"


def test_qrels_are_read(file: Path) -> None:
    file.write_text("# judged in May\n\nq1 0 p1 1\nq1\t0\tp2\t-1\r\nq2 0 p1 3")
    assert read_qrels(file) == {"q1": {"p1": 1, "p2": -1}, "q2": {"p1": 3}}


def test_runs_are_read_with_the_last_lines_name(file: Path) -> None:
    file.write_text("q1 Q0 p1 1 0.5 first\nq1 Q0 p2 2 -1e-3 last and more\n")
    assert read_run(file) == {"q1": {"p1": 0.5, "p2": -0.001}}
    assert read_run_id(file) == "last"


def test_trec_evals_own_files_are_read(shared_data: Path) -> None:
    folder = shared_data / "trec_eval"
    qrels, run = read_qrels(folder / "qrels.test"), read_run(folder / "results.test")
    assert {query_id: len(grades) for query_id, grades in qrels.items()} == {
        "301": 1708,
        "302": 1061,
        "303": 912,
    }
    assert [len(scores) for scores in run.values()] == [500, 500, 500]
    assert read_run_id(folder / "results.test") == "STANDARD"
    assert round(score_run(qrels, run, ["map"]).summary["map"], 4) == 0.1785


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1 0 p1 1\nq1 0 p2\n", r"file\.txt:2 has 3 fields, not 4"),
        ("q1 0 p1 high\n", r"file\.txt:1 has the relevance 'high'"),
        ("q1 0 p1 1\nq1 0 p1 0\n", r"file\.txt:2 names passage p1 a second time"),
        ("\n", r"file\.txt has no lines"),
    ],
)
def test_bad_qrels_name_file_line_and_remedy(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_qrels(file)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1 Q0 p1 1 0.5\n", r"file\.txt:1 has 5 fields, not 6"),
        ("\nq1 Q0 p1 1 best run\n", r"file\.txt:2 has the score 'best'"),
        ("q1 Q0 p1 1 nan run\n", r"file\.txt:1 has the score 'nan'"),
        ("q1 Q0 p1 1 0.5 r\nq1 Q0 p1 2 0.4 r\n", r"file\.txt:2 names passage p1 a second time"),
        ("", r"file\.txt has no lines"),
    ],
)
def test_bad_runs_name_file_line_and_remedy(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_run(file)
    assert caught.value.remedy


def test_files_that_cannot_be_read_are_named(file: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*file\.txt \(No such file"):
        read_qrels(file)
    file.write_bytes(b"q1 0 p\xff 1\n")
    with pytest.raises(InputError, match="not UTF-8"):
        read_qrels(file)
    with pytest.raises(InputError, match="cannot read"):
        read_run(file.parent)


def test_a_run_written_reads_back_the_same(file: Path) -> None:
    rankings = {"q1": [Hit("p2", 1 / 3), Hit("p1", 0.1)], "q2": [Hit("p9", 2.0)], "q3": []}
    write_run(file, rankings, "v1")
    assert read_run(file) == {"q1": {"p2": 1 / 3, "p1": 0.1}, "q2": {"p9": 2.0}}
    assert read_run_id(file) == "v1"
    assert file.read_text().splitlines()[1] == "q1 Q0 p1 2 0.1 v1"


def test_a_passage_found_twice_is_written_once_at_its_first_rank(file: Path) -> None:
    write_run(file, {"q": [Hit("p1", 0.9), Hit("p1", 0.8), Hit("p2", 0.7)]}, "v1")
    assert file.read_text() == "q Q0 p1 1 0.9 v1\nq Q0 p2 2 0.7 v1\n"


@pytest.mark.parametrize(
    ("rankings", "tag", "message"),
    [
        ({"q 1": [Hit("p", 1.0)]}, "v", "'q 1' cannot stand"),
        ({"q": [Hit("p\n", 1.0)]}, "v", "cannot stand"),
        ({"q": [Hit("p", 1.0)]}, "my version", "'my version' cannot stand"),
        ({"q": [Hit("", 1.0)]}, "v", "'' cannot stand"),
        ({"q": [Hit("p", math.inf)]}, "v", "passage p for query q is inf"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_and_nothing_is_written(
    file: Path, rankings: dict[str, list[Hit]], tag: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        write_run(file, rankings, tag)
    assert list(file.parent.iterdir()) == []


def test_a_run_that_cannot_be_written_names_its_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*run\.txt"):
        write_run(tmp_path / "missing" / "run.txt", {"q": [Hit("p", 1.0)]}, "v")
