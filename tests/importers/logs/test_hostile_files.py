"""Files that are broken, huge or meant to harm: the rest is loaded, and nothing is held whole."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragdiag.errors import InputError
from ragdiag.importers.logs import json_rows
from ragdiag.importers.logs.containers import read_rows
from ragdiag.records import Request
from ragdiag.store.lake import Lake
from tests.importers.logs.conftest import Import, write_table

Stored = Callable[[], dict[str, Request]]


def rows(n: int) -> list[dict[str, object]]:
    return [{"id": f"r{i}", "time": i, "question": "How long do cats sleep?"} for i in range(n)]


def faults(path: Path) -> list[tuple[int, str]]:
    return [(row.origin.line, row.fault) for row, _ in read_rows(path) if row.fault]


def as_lines(n: int) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows(n))


@pytest.mark.parametrize("name", ["log.jsonl.gz", "log.jsonl.zst", "log.json.gz"])
def test_compressed_logs_are_read(load: Import, stored: Stored, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    body = json.dumps(rows(3)).encode() if ".json." in name else as_lines(3)
    path.write_bytes(
        gzip.compress(body) if name.endswith("gz") else pa.compress(body, "zstd", True)
    )
    load(path)
    assert len(stored()) == 3


@pytest.mark.parametrize("chars", [1, 7, 50, 1 << 20])
def test_a_list_is_read_alike_in_pieces_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chars: int
) -> None:
    monkeypatch.setattr(json_rows, "_CHUNK_CHARS", chars)
    path = tmp_path / "log.json"
    path.write_text(json.dumps([*rows(30), 7, *rows(3)], indent=1))
    read = [(row.values, row.fault) for row, _ in read_rows(path)]
    assert read[30] == ({}, "not a JSON object")
    assert [values for values, fault in read if fault is None] == [*rows(30), *rows(3)]


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_truncated_stream_gives_what_came_before(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"log.jsonl.{suffix}"
    salted = [{**row, "salt": hash(str(row))} for row in rows(60_000)]
    body = b"".join(json.dumps(row).encode() + b"\n" for row in salted)
    whole = gzip.compress(body) if suffix == "gz" else pa.compress(body, "zstd", True)
    path.write_bytes(whole[: len(whole) * 3 // 4])
    read = [row for row, _ in read_rows(path)]
    assert 1_000 < len(read) < 60_000
    assert all(row.fault is None for row in read[:-1])
    assert "broken or cut off" in str(read[-1].fault)


def test_a_stream_with_other_bytes_in_its_midst_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl.gz"
    whole = gzip.compress(as_lines(2_000))
    for at in range(20, len(whole) - 40, len(whole) // 8):
        path.write_bytes(whole[:at] + bytes(range(200, 216)) + whole[at + 16 :])
        assert "broken or cut off" in faults(path)[-1][1]


@pytest.mark.parametrize("name", ["bomb.jsonl.gz", "bomb.csv.zst"])
def test_a_bomb_is_refused(tmp_path: Path, name: str) -> None:
    body = b"0" * 80_000_000
    path = tmp_path / name
    path.write_bytes(
        gzip.compress(body) if name.endswith("gz") else pa.compress(body, "zstd", True)
    )
    assert any("250-fold" in reason for _, reason in faults(path))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["log.jsonl", "log.csv"])
def test_a_line_of_200_mb_is_refused_by_its_number(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.write(b"id,question\n" if name == "log.csv" else b'{"id": 1}\n')
        for _ in range(200):
            file.write(b"x" * 1_000_000)
        file.write(b"\n7,q\n" if name == "log.csv" else b'\n{"id": 7}\n')
    tracemalloc.start()
    read = [row for row, _ in read_rows(path)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60_000_000
    long, last = read[-2:]
    assert (long.origin.line, long.fault is not None) == (2, True)
    assert "10000000 bytes" in str(long.fault)
    assert str(last.values["id"]) == "7"


def test_ragged_and_broken_csv(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(
        b"id,question\n1,one\n2,two,three\n4\n5,\xff\n"
        b'6,"six ""and"" half"\n7,"a\nb"\n8,"x" y\n9,nine\n'
    )
    read = [row for row, _ in read_rows(path)]
    assert [row.values["id"] for row in read if not row.fault] == ["1", "6", "7", "9"]
    assert read[4].values["question"] == 'six "and" half'
    assert read[5].values["question"] == "a\nb"
    assert [line for line, _ in faults(path)] == [3, 4, 5, 9]
    assert faults(path)[0][1] == "3 cells where the header has 2"
    assert "not UTF-8" in faults(path)[2][1]


def test_a_quote_that_never_closes_costs_what_it_swallows(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b'id,question\n1,one\n2,"open' + b"\n3,x" * 100)
    read = [row for row, _ in read_rows(path)]
    assert [row.fault is None for row in read] == [True, False]


@pytest.mark.parametrize("header", [b"", b"id,id\n1,2\n", b"id,\n1,2\n", b"\xff\xfei\0d\0\n"])
def test_a_header_that_is_none(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(header)
    assert [line for line, _ in faults(path)] == [0] * bool(header)


def test_a_truncated_or_false_parquet_is_told(
    load: Import, stored: Stored, lake: Lake, tmp_path: Path
) -> None:
    good = write_table(tmp_path / "good.parquet", rows(2))
    (tmp_path / "cut.parquet").write_bytes(good.read_bytes()[:-200])
    (tmp_path / "text.parquet").write_text("not Parquet at all")
    report = load(tmp_path)
    assert set(stored()) == {"r0", "r1"}
    assert [reject.line for reject in report.rejects] == [0, 0]
    assert all("no readable Parquet" in reject.reason for reject in report.rejects)
    with pytest.raises(InputError, match="no readable Parquet"):
        load(tmp_path / "cut.parquet")


def test_a_flipped_parquet_page_keeps_the_rows_before_it(tmp_path: Path) -> None:
    path = write_table(tmp_path / "log.parquet", [{"id": str(hash(i))} for i in range(3_000)])
    body = bytearray(path.read_bytes())
    body[200:260] = bytes(60)
    path.write_bytes(body)
    assert len(faults(path)) <= 1


@pytest.mark.parametrize(
    "times",
    [
        pa.array([0, 2**62, 1], pa.timestamp("us")),
        pa.array([0, -(2**62), 1], pa.timestamp("us", "UTC")),
        pa.array([0, 2**30, 1], pa.date32()),
        pa.array([[0], [0, 2**62], None], pa.list_(pa.duration("s"))),
    ],
)
def test_a_time_that_no_calendar_has_costs_its_row_alone(tmp_path: Path, times: pa.Array) -> None:
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"id": ["a", "b", "c"], "time": times}), path)
    read = [row for row, _ in read_rows(path)]
    assert [row.values.get("id") for row in read] == ["a", None, "c"]
    assert [line for line, _ in faults(path)] == [2]
    assert "a time that no calendar has" in faults(path)[0][1]


def test_a_json_list_that_breaks_off_gives_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(rows(5))[:-30])
    read = [row for row, _ in read_rows(path)]
    assert [row.fault is None for row in read] == [True] * 4 + [False]
    assert "not JSON after its row 4" in str(read[-1].fault)


def test_a_long_json_list_is_read_object_by_object(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    many = [{**row, "answer": "a" * 200} for row in rows(20_000)]
    path.write_text(json.dumps([*many, 3, None]))
    read = [row for row, _ in read_rows(path)]
    assert len(read) == 20_002
    assert read[19_999].values == many[-1]
    assert [row.fault for row in read[-2:]] == ["not a JSON object"] * 2


@pytest.mark.parametrize("column", ["time", "thumbs", "label"])
def test_nesting_at_the_edge_of_what_python_reads_costs_its_row_alone(
    load: Import, stored: Stored, tmp_path: Path, column: str
) -> None:
    good, other = rows(2)
    del other[column if column == "time" else "id"]
    path = tmp_path / "log.jsonl"
    body = json.dumps(good) + "\n"
    for depth in range(900, 1_000):
        body += f'{json.dumps(other)[:-1]}, "{column}": {"[" * depth}{"]" * depth}}}\n'
    path.write_text(body)
    load(path)
    assert "r0" in stored()


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("none.jsonl", None, "no file or folder"),
        ("log.pdf", b"%PDF", "in no known container"),
        ("log.json", b"3", "neither a JSON object nor a list"),
        ("log.json", b"{" * 100_000, "not JSON"),
        ("log.json", b'{"a": "\xff"}', "not UTF-8"),
        ("log.jsonl.gz", b"not gzip", "broken or cut off"),
    ],
)
def test_nothing_readable_is_one_line(
    load: Import, tmp_path: Path, name: str, body: bytes | None, reason: str
) -> None:
    path = tmp_path / name
    if body is not None:
        path.write_bytes(body)
    with pytest.raises(InputError, match=reason) as caught:
        load(path)
    assert name in str(caught.value)


def test_a_folder_of_no_logs_or_of_several_kinds(load: Import, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match="holds no log"):
        load(tmp_path)
    write_table(tmp_path / "log.jsonl", rows(1))
    write_table(tmp_path / "otlp.jsonl", [{"resourceSpans": []}])
    with pytest.raises(InputError, match="mixes formats"):
        load(tmp_path)


def test_links_out_of_the_folder_are_not_followed(load: Import, tmp_path: Path) -> None:
    outside = write_table(tmp_path / "outside.jsonl", rows(1))
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "link.jsonl").symlink_to(outside)
    write_table(folder / "own.jsonl", rows(1))
    assert load(folder).skipped_files == 1


def test_maps_of_parquet_are_mappings_whatever_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "maps.parquet"
    texts, numbers = (pa.map_(key, pa.int64()) for key in (pa.string(), pa.int64()))
    listed = pa.map_(pa.struct([("x", pa.int64())]), pa.int64())
    table = {
        "twice": pa.array([[("a", 1), ("a", 2)], [], None], texts),
        "within": pa.array([{"m": [("a", 1)]}, None, {"m": None}], pa.struct([("m", texts)])),
        "list": pa.array([[[("a", 1)]], [], None], pa.list_(texts)),
        "numbers": pa.array([[(1, 2)], [], None], numbers),
        "structs": pa.array([[({"x": 1}, 2)], [], None], listed),
    }
    pq.write_table(pa.table(table), path)
    read = [row.values for row, _ in read_rows(path)]
    assert read == [
        {
            "twice": {"a": 2},
            "within": {"m": {"a": 1}},
            "list": [{"a": 1}],
            "numbers": [(1, 2)],
            "structs": [({"x": 1}, 2)],
        },
        {"twice": {}, "within": None, "list": [], "numbers": [], "structs": []},
        {"twice": None, "within": {"m": None}, "list": None, "numbers": None, "structs": None},
    ]


def csv_rows(path: Path, body: str) -> list[tuple[int, dict[str, object]]]:
    path.write_bytes(body.encode())
    return [(row.origin.line, dict(row.values)) for row, _ in read_rows(path) if not row.fault]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (",id,question\n0,1,Why?\n1,2\n", 2),  # as pandas writes its index
        ("sep=;\nid;question\n1;Why?\n2\n", 3),  # as Excel is told of the separator
        ("\ufeffSEP=|\r\nid|question\r\n1|Why?\r\n2\r\n", 3),
        ('"sep=;"\nid;question\n1;Why?\n2\n', 3),
        ('"id";"question"\n1;Why?\n2\n', 2),
        ('"id";"question"\n1;"Why?"\n2\n', 2),
    ],
)
def test_headers_as_others_write_them(tmp_path: Path, body: str, line: int) -> None:
    path = tmp_path / "log.csv"
    assert csv_rows(path, body) == [(line, {"id": "1", "question": "Why?"})]
    assert [number for number, _ in faults(path)] == [line + 1]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_header_with_a_line_break_in_a_name(tmp_path: Path, separator: str, end: str) -> None:
    body = f'"question{end}(a, b; or\tc ""d"", mine)"{separator}id{end}Why?{separator}1{end}x{end}'
    path = tmp_path / "log.csv"
    name = 'question (a, b; or\tc "d", mine)'
    assert csv_rows(path, body) == [(3, {name: "Why?", "id": "1"})]
    assert [number for number, _ in faults(path)] == [4]


def test_a_quote_within_a_name_opens_nothing(tmp_path: Path) -> None:
    body = 'size in "; a "b", id\n' + "1,2\n" * 300
    assert len(csv_rows(tmp_path / "log.csv", body)) == 300


@pytest.mark.parametrize("body", ['"id,question\n1,Why?\n', ",,id\n0,1,2\n", '""\n1\n', "\n1,2\n"])
def test_a_header_that_cannot_be_read_is_one_fault(tmp_path: Path, body: str) -> None:
    path = tmp_path / "log.csv"
    assert csv_rows(path, body) == []
    assert [number for number, _ in faults(path)] == [0]


def test_what_pandas_writes_by_default_is_imported(
    load: Import, stored: Stored, tmp_path: Path
) -> None:
    pd.DataFrame(rows(3)).to_csv(tmp_path / "log.csv")
    report = load(tmp_path / "log.csv")
    assert set(stored()) == {"r0", "r1", "r2"}
    assert (report.unread_columns, report.rejects) == ({}, ())
