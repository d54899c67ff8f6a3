"""Rows by their columns' names and by a mapping, from every container."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ragdiag.errors import InputError
from ragdiag.privacy.pseudonyms import user_key
from ragdiag.records import ContextHit, Hit, Request
from ragdiag.settings import Workspace
from ragdiag.store.kinds import record_to_json
from ragdiag.store.lake import Lake
from ragdiag.store.queries import passages_at
from tests.importers.logs.conftest import Import, contents, write_table

Stored = Callable[[], dict[str, Request]]
FULL = {
    "id": "r1",
    "time": "2026-01-05T13:00:00+01:00",
    "question": "How long do cats sleep?",
    "answer": "Fifteen hours.",
    "version": "bot-7",
    "user": "ann@example.com",
    "topic": "cats",
    "contexts": [{"id": "p1", "text": "Cats sleep fifteen hours.", "score": 0.5, "title": "Cats"}],
    "dense": [{"id": "p1", "score": 0.5}, {"id": "p2", "score": 0.25}],
    "latency": {"total": 120.5, "dense": 12},
    "usage": {"prompt_tokens": 120, "completion_tokens": 9},
    "cost": 0.002,
    "thumbs": "down",
}


@pytest.mark.parametrize("name", ["log.jsonl", "log.csv", "log.parquet"])
def test_common_names_are_understood_in_every_container(
    load: Import, stored: Stored, lake: Lake, workspace: Workspace, tmp_path: Path, name: str
) -> None:
    report = load(write_table(tmp_path / name, [FULL]))
    assert report.reasons == {}
    assert {kind: count.new for kind, count in report.kinds.items()} == {
        "request": 1,
        "passage": 1,
        "feedback": 1,
    }
    assert stored() == {
        "r1": Request(
            request_id="r1",
            asked_at=datetime(2026, 1, 5, 12, tzinfo=UTC),
            version_id="bot-7",
            traffic="production",
            question="How long do cats sleep?",
            topic="cats",
            user_key=user_key(workspace, "ann@example.com"),
            answer="Fifteen hours.",
            prompt_tokens=120,
            completion_tokens=9,
            cost_usd=0.002,
            latency_ms={"total": 120.5, "dense": 12.0},
            dense=(Hit("p1", 0.5), Hit("p2", 0.25)),
            context=(ContextHit("p1", 0.5, 25),),
        )
    }
    (said,) = lake.rows("select request_id, kind, value, given_at from feedback")
    assert said == {
        "request_id": "r1",
        "kind": "thumbs",
        "value": -1.0,
        "given_at": datetime(2026, 1, 5, 12),
    }
    (passage,) = passages_at(lake, ["p1"], datetime(2026, 1, 5, tzinfo=UTC)).values()
    assert (passage["title"], passage["text"]) == ("Cats", "Cats sleep fifteen hours.")


def test_blanks_around_a_user_are_nothing_and_blanks_alone_are_nobody(
    load: Import, stored: Stored, workspace: Workspace, write_lines: Callable[..., Path]
) -> None:
    users = {"r1": "ann", "r2": "  ann ", "r3": "   ", "r4": 42.0, "r5": "42"}
    load(write_lines("log.jsonl", *({**FULL, "id": n, "user": u} for n, u in users.items())))
    ann, number = user_key(workspace, "ann"), user_key(workspace, "42")
    kept = {name: request.user_key for name, request in stored().items()}
    assert kept == {"r1": ann, "r2": ann, "r3": None, "r4": number, "r5": number}


def test_a_raw_user_id_reaches_no_file(
    load: Import, workspace: Workspace, write_lines: Callable[..., Path]
) -> None:
    bad = {**FULL, "id": "r2", "time": "yesterday"}
    report = load(write_lines("log.jsonl", FULL, bad, f"{json.dumps(FULL)} and more"))
    assert sum(report.reasons.values()) == 2
    files = [path for path in workspace.root.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert not [path for path in files if b"ann@example.com" in path.read_bytes()]


def test_whole_numbers_of_a_column_with_gaps_are_written_without_a_point(
    load: Import, stored: Stored, tmp_path: Path
) -> None:
    rows = [
        {"id": 1001.0, "question": "Why?", "question_id": 7.0, "score": 0.5},
        {"id": 1002.0, "question": "How?", "question_id": None, "score": 0.5},
    ]
    load(write_table(tmp_path / "log.parquet", rows))
    assert {name: one.question_id for name, one in stored().items()} == {"1001": "7", "1002": None}


def test_a_second_import_changes_nothing(
    load: Import, lake: Lake, write_lines: Callable[..., Path]
) -> None:
    path = write_lines("log.jsonl", FULL, "no JSON", {"question": "q?", "gold_answer": "a"})
    load(path)
    before, snapshot = contents(lake), lake.snapshot()
    again = load(path)
    assert all((count.new, count.rejected) == (0, 0) for count in again.kinds.values())
    assert again.kinds["request"].repeated == 2
    assert again.reasons == {"not JSON (Expecting value: line … column … (char …))": 1}
    assert contents(lake) == before
    assert lake.snapshot() == snapshot


def test_rows_without_an_id_are_told_apart_by_their_users(
    load: Import, stored: Stored, write_lines: Callable[..., Path]
) -> None:
    said = {"time": "2026-01-05T09:30", "question": "Open?", "answer": "9 to 5."}
    users = ("ann", "bob", " bob ", None)
    rows = [{**said, "thumbs": "up", "user": user} for user in users]
    report = load(write_lines("log.jsonl", *rows))
    assert report.rejects == ()
    assert len(stored()) == 3
    nobody = next(name for name, one in stored().items() if one.user_key is None)
    assert nobody == "row-8ce6f68615af69ac3667f75c"  # as it was always named


def test_rows_without_a_time_keep_their_first_one(
    load: Import, stored: Stored, write_lines: Callable[..., Path]
) -> None:
    row = {"question": "q?", "answer": "a", "gold_answer": "a", "thumbs": 1}
    path = write_lines("log.jsonl", row)
    load(path)
    before = stored()
    path.touch()
    assert load(path).kinds["request"].repeated == 1
    assert stored() == before


def test_bad_rows_are_rejects_and_the_rest_is_loaded(
    load: Import, stored: Stored, lake: Lake, write_lines: Callable[..., Path]
) -> None:
    good = {"id": "r1", "time": 0, "question": "q?"}
    path = write_lines(
        "log.jsonl",
        good,
        {**good, "id": "r2", "question": " "},
        b'{"question": "\xff"}',
        {**good, "id": "r3", "latency": -5},
        {**good, "id": "r4", "cost": "NaN"},
        '{"id": "r5", "time": 0, "question": "q", "cost": NaN}',
        {**good, "id": "r6", "question": "\ud800"},
        {**good, "id": "r7", "contexts": [{"score": 1}]},
        {**good, "id": "r8", "traffic": "staging"},
        {**good, "question": "another?"},
        "[" * 100_000,
        {**good, "id": "r12", "answer": "a\0b"},
    )
    report = load(path)
    assert list(stored()) == ["r1"]
    kept = lake.rows(
        "select line, reason from rejects where source = $p order by line", {"p": str(path)}
    )
    reasons = {row["line"]: row["reason"] for row in kept}
    assert sorted(reasons) == list(range(2, 13))
    assert reasons[2] == "question is missing"
    assert "not UTF-8" in reasons[3]
    assert reasons[4] == "latency_ms.total is -5.0"
    assert "not finite" in reasons[5]
    assert "NaN is not a JSON number" in reasons[6]
    assert "lone surrogate" in reasons[7]
    assert reasons[8] == "contexts: rank 1: a passage without id and text"
    assert "traffic: 'staging'" in reasons[9]
    assert reasons[10] == "another request has the id 'r1'; the first stays"
    assert "NUL" in reasons[12]
    assert report.kinds["request"].rejected == 1


def test_a_list_of_rejects_that_is_cut_names_the_command_that_has_them_all(
    load: Import, write_lines: Callable[..., Path]
) -> None:
    few, many = (load(write_lines(f"{n}.jsonl", *["not JSON"] * n)) for n in (20, 21))
    assert "ragdiag store rejects" not in few.to_text()
    assert (sum(many.reasons.values()), len(many.rejects)) == (21, 20)
    assert "ragdiag store rejects" in many.to_text()


def test_a_column_that_no_row_has_is_named(load: Import, write_lines: Callable[..., Path]) -> None:
    rows = [
        {"id": n, "day": "1", "hour": None, "question": "q?", "answer": "a", "t": n or None}
        for n in range(2)
    ]
    report = load(
        write_lines("log.jsonl", *rows),
        fields={"answer": "anwser", "question_id": ["day", "hour"], "topic": "meta.topic"},
        latency={"total": "t", "dense": "t_dense"},
    )
    assert report.columns == {"id": "id", "question": "question", "latency.total": "t"}
    absent = {
        "answer": "anwser",
        "question_id": "hour",
        "topic": "meta.topic",
        "latency.dense": "t_dense",
    }
    assert report.absent_columns == report.to_json()["absent_columns"] == absent
    assert "column 'anwser', which the mapping names as answer" in report.to_text()
    assert report.unread_columns == {"answer": 2}


def test_a_question_that_no_row_has_ends_the_import(
    load: Import, lake: Lake, write_lines: Callable[..., Path]
) -> None:
    path = write_lines("log.jsonl", *({"id": n, "frage": "q?"} for n in range(3)))
    with pytest.raises(InputError, match="no row has the column 'Frage'") as caught:
        load(path, fields={"question": "Frage"})
    assert "\n" not in str(caught.value)
    assert lake.rows("select * from rejects") == []
    assert load(path, fields={"question": "frage"}).kinds["request"].new == 3


def test_a_rating_is_no_thumb(
    load: Import, lake: Lake, stored: Stored, write_lines: Callable[..., Path]
) -> None:
    rows = [{"id": f"r{n}", "time": n, "question": "q?", "rating": n} for n in range(1, 6)]
    report = load(write_lines("log.jsonl", *rows))
    assert (len(stored()), report.reasons) == (5, {})
    assert report.unread_columns == {"rating": 5}
    assert lake.rows("select * from feedback") == []


def test_unread_columns_are_told_once_each(load: Import, write_lines: Callable[..., Path]) -> None:
    rows = [
        {"id": n, "time": n, "question": "q?", "colour": "red" if n else None} for n in range(3)
    ]
    report = load(write_lines("log.jsonl", *rows))
    assert report.unread_columns == {"colour": 2}


def test_columns_of_dates_and_durations_are_read(
    load: Import, stored: Stored, tmp_path: Path
) -> None:
    rows = [{"id": "r1", "time": date(2026, 1, 5), "question": "q?", "t": timedelta(seconds=2)}]
    told = {"time": {"zone": "Europe/Berlin"}, "latency": {"total": "t", "unit": "s"}}
    load(write_table(tmp_path / "log.parquet", rows), **told)
    (request,) = stored().values()
    assert request.asked_at == datetime(2026, 1, 4, 23, tzinfo=UTC)
    assert request.latency_ms == {"total": 2000.0}


def test_what_is_no_stage_of_a_latency_is_told_and_costs_no_row(
    load: Import, stored: Stored, write_lines: Callable[..., Path]
) -> None:
    given = {"r1": {"total": 840, "retrieval": 31}, "r2": {}, "r3": 7}
    rows = [{"id": n, "time": 0, "question": "q?", "latency": cell} for n, cell in given.items()]
    report = load(write_lines("log.jsonl", *rows))
    kept = {name: request.latency_ms for name, request in stored().items()}
    assert kept == {"r1": {"total": 840.0}, "r2": {}, "r3": {"total": 7.0}}
    assert report.unread_columns == {"latency.retrieval": 1}


def test_a_mapping_names_columns_constants_times_lists_and_units(
    load: Import, stored: Stored, tmp_path: Path
) -> None:
    rows = [
        {"n": "7", "when": "05/01/2026 13:00", "frage": "q?", "ctx": "One. ||| Two.", "t": "1.5"}
    ]
    load(
        write_table(tmp_path / "log.csv", rows),
        fields={"id": ["n", "n"], "question": "frage", "contexts": "ctx", "time": "when"},
        constants={"version": "v9", "traffic": "canary", "cost": 0.5},
        time={"format": "%d/%m/%Y %H:%M", "zone": "Europe/Berlin"},
        lists={"contexts": "|||"},
        latency={"total": "t", "unit": "s"},
    )
    (request,) = stored().values()
    assert (request.request_id, request.version_id, request.traffic) == ("7/7", "v9", "canary")
    assert request.asked_at == datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert request.latency_ms == {"total": 1500.0}
    assert [hit.score for hit in request.context] == [1.0, 0.5]
    assert [hit.passage_id for hit in request.fused] == [h.passage_id for h in request.context]
    assert all(hit.passage_id.startswith("text:") for hit in request.fused)


def test_nested_fields_are_reached_by_dotted_paths(
    load: Import, stored: Stored, write_lines: Callable[..., Path]
) -> None:
    row = {"meta": {"rid": "x1"}, "turns": [{"q": "first?"}, {"q": "last?"}], "ts": 1_767_614_400}
    load(
        write_lines("log.jsonl", row),
        fields={"id": "meta.rid", "question": "turns.1.q", "time": "ts"},
    )
    assert stored()["x1"].question == "last?"
    assert stored()["x1"].asked_at == datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_our_own_lines_are_read_as_they_stand(
    load: Import, stored: Stored, lake: Lake, write_lines: Callable[..., Path]
) -> None:
    start = {"schema": 1}
    report = load(
        write_lines(
            "own.jsonl",
            {
                **start,
                "kind": "request",
                "request_id": "r",
                "version_id": "v",
                "question": "q?",
                "asked_at": "2026-01-05T12:00:00Z",
                "traffic": "shadow",
            },
            {**start, "kind": "grade", "request_id": "r", "grader": "human", "y": 1},
            {**start, "kind": "passage", "passage_id": "p", "document_id": "d", "text": "T."},
            {**start, "kind": "opinion"},
        )
    )
    assert stored()["r"].traffic == "shadow"
    assert {kind: count.new for kind, count in report.kinds.items()} == {
        "request": 1,
        "grade": 1,
        "passage": 1,
    }
    assert [reject.line for reject in report.rejects] == [4]


def test_a_dry_run_writes_nothing(tmp_path: Path, write_lines: Callable[..., Path]) -> None:
    from ragdiag.importers.logs.import_logs import import_logs

    workspace = Workspace(tmp_path / "none")
    report = import_logs(None, workspace, write_lines("log.jsonl", FULL, "bad"))
    assert not workspace.root.exists()
    assert report.kinds["request"].new == 1
    assert report.columns["question"] == "question"
    assert report.to_json()["dry_run"] is True
    assert sum(report.reasons.values()) == 1


def test_what_cannot_be_diagnosed_is_said(load: Import, write_lines: Callable[..., Path]) -> None:
    rows = [{"id": n, "time": n, "question": "q?", "version": "x"} for n in range(2)]
    gaps = load(write_lines("log.jsonl", *rows, {**rows[0], "id": "g", "gold_answer": "a"})).gaps
    assert any(gap.startswith("2 of 3 requests have no gold answer") for gap in gaps)
    assert any(gap.startswith("3 of 3 requests have no gold passages") for gap in gaps)
    assert any(gap.startswith("3 of 3 requests have no context") for gap in gaps)
    assert any("without a spec" in gap for gap in gaps)


@pytest.mark.parametrize(
    ("toml", "culprit"),
    [
        ('[fields]\nquery = "q"', "fields.query is no field"),
        ('[constants]\nquestion = "q"\n[fields]\nquestion = "q"', "both a column and a constant"),
        ('[time]\nzone = "Mars/Base"', "time.zone"),
        ('[time]\nformat = "yesterday"', "time.format"),
        ("[label]\nthreshold = nan", "label.threshold"),
        ('[latency]\nlunch = "x"', "latency.lunch"),
        ("[colours]\n", "colours"),
        ("fields = 3", "fields"),
        ("not toml", "is not TOML"),
    ],
)
def test_a_wrong_mapping_is_one_line(tmp_path: Path, toml: str, culprit: str) -> None:
    from ragdiag.importers.logs.mapping import read_mapping

    path = tmp_path / "m.toml"
    path.write_text(toml)
    with pytest.raises(InputError, match=culprit) as caught:
        read_mapping(path)
    assert "m.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dataframe_printed_into_csv_is_read(load: Import, stored: Stored, tmp_path: Path) -> None:
    rows = [
        {"id": "a", "time": "0", "question": "q?", "contexts": "['One.', 'Two.']"},
        {"id": "b", "time": "0", "question": "q?", "contexts": "['One.'\n 'Two.']"},
    ]
    report = load(write_table(tmp_path / "log.csv", rows))
    assert len(stored()["a"].context) == 2
    assert "array without commas" in report.rejects[0].reason


def test_a_json_list_and_a_page_of_an_api_are_read(
    load: Import, stored: Stored, tmp_path: Path
) -> None:
    rows = [{"id": f"j{n}", "time": n, "question": "q?"} for n in range(3)]
    (tmp_path / "list.json").write_text(json.dumps(rows))
    (tmp_path / "page.json").write_text(json.dumps({"data": [{**rows[0], "id": "p"}], "meta": {}}))
    report = load(tmp_path)
    assert set(stored()) == {"j0", "j1", "j2", "p"}
    assert report.files == 2


def test_json_lines_named_json_break_at_line_feeds_alone(
    load: Import, stored: Stored, tmp_path: Path
) -> None:
    said = "one\u2028two\u0085three"
    rows = [{"id": f"j{n}", "time": n, "question": "q?", "answer": said} for n in range(2)]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows)
    (tmp_path / "log.json").write_text(lines, encoding="utf-8", newline="")
    load(tmp_path / "log.json")
    assert [request.answer for request in stored().values()] == [said, said]


def test_a_raw_user_in_our_own_lines_becomes_a_pseudonym(
    load: Import, stored: Stored, workspace: Workspace, tmp_path: Path
) -> None:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    users = {"r1": " ann", "r2": user_key(workspace, "bob"), "r3": None}
    lines = [
        record_to_json(Request(name, at, "v1", "production", "q", user_key=user))
        for name, user in users.items()
    ]
    load(write_table(tmp_path / "log.jsonl", lines))
    kept = {name: request.user_key for name, request in stored().items()}
    assert kept == {**users, "r1": user_key(workspace, "ann")}
