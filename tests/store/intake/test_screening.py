"""What may not be stored reaches neither the lake nor the archive."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pytest

from ragdiag.errors import KeyMissing
from ragdiag.privacy.encryption import is_encrypted, open_decrypted
from ragdiag.privacy.hiding import is_hidden
from ragdiag.privacy.keys import Key, Keyring, new_key, workspace_keys
from ragdiag.privacy.pseudonyms import mark_user, user_key
from ragdiag.privacy.screening import open_screen
from ragdiag.records import Feedback, Grade, Hit, Passage, Reject, Request, Span, SpanEvent
from ragdiag.settings import Workspace
from ragdiag.spans.building import excerpt
from ragdiag.store.ingest import IngestReport, ingest
from ragdiag.store.intake.arrow_door import COLUMNS, ingest_table
from ragdiag.store.intake.screening import screen_records, screen_requests
from ragdiag.store.intake.segment_lines import exchange_lines
from ragdiag.store.kinds import Record, record_to_json
from ragdiag.store.lake import Lake
from ragdiag.store.lines import parse_line
from ragdiag.store.results import load_requests, save_findings, save_rejects
from ragdiag.store.rows import request_row, requests_from_table
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.tables import SCHEMAS
from ragdiag.store.upkeep.archive import open_archived, write_archived
from ragdiag.store.upkeep.forgotten import REASON, add_forgotten, user_tombstone

MAIL = "ann@example.org"


def spool(workspace: Workspace, *records: Record) -> None:
    with SpoolWriter(workspace) as writer:
        for record in records:
            writer.write(record)


def everything(lake: Lake, workspace: Workspace) -> str:
    """Every row of the lake and every byte of the spool, as one text."""
    tables = [row["table_name"] for row in lake.rows("select table_name from duckdb_tables()")]
    rows = [lake.rows(f"from {table}") for table in tables if not table.startswith("ducklake")]
    files = [path.read_bytes() for path in workspace.spool.rglob("*") if path.is_file()]
    return repr(rows) + repr(files)


@pytest.fixture
def telling(make_request: Callable[..., Request]) -> list[Record]:
    """One record of each kind with an address in every text."""
    request = make_request(
        1,
        question=f"Who is {MAIL}?",
        answer=f"{MAIL} is Ann",
        error=f"no {MAIL}",
        topic=MAIL,
        tenant=MAIL,
        roles=("legal", MAIL),
        only_topics=(MAIL,),
    )
    at = request.asked_at
    return [
        request,
        make_request(2, question="Nothing to hide"),
        Feedback("f1", "r1", at, "thumbs", -1),
        Grade("r1", "judge", 0, reason=f"names {MAIL}"),
        Passage("p1", "d1", f"Ann: {MAIL}", title=MAIL),
        Span(
            "t1", "s1", None, "ask", at, at,
            attributes={"input.value": MAIL, "user.id": MAIL},
            events=(SpanEvent("exception", at, {"exception.message": MAIL}),),
            error=MAIL,
            resource={"host.ip": "203.0.113.9"},
        ),
    ]  # fmt: skip


def test_no_kind_of_record_brings_what_may_not_be_stored(
    lake: Lake, workspace: Workspace, telling: list[Record]
) -> None:
    spool(workspace, *telling)
    assert ingest(lake, workspace) == IngestReport(1, 6, 0, 0)
    assert MAIL not in everything(lake, workspace)
    assert "203.0.113.9" not in everything(lake, workspace)
    first, second = load_requests(lake)
    assert (first.question, first.answer) == ("Who is [email]?", "[email] is Ann")
    assert (first.tenant, first.roles) == ("[email]", ("legal", "[email]"))
    assert second == telling[1]


def test_a_raw_user_id_that_a_line_brings_becomes_a_pseudonym_with_or_without_rules(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    ann = user_key(workspace, "ann")
    keys = ["ann", ann, mark_user(workspace, "ann"), None, ""]
    requests = [make_request(n, user_key=key) for n, key in enumerate(keys)]
    for rules in ("redact = []\n", ""):
        workspace.configuration.write_text(f"[privacy]\n{rules}")
        spool(workspace, *requests)
        ingest(lake, workspace)
        stored = {one.request_id: one.user_key for one in load_requests(lake)}
        assert list(stored.values()) == [ann, ann, ann, None, ""]
        for archived in (workspace.spool / "archive").glob("*.jsonl"):
            assert b'"ann"' not in archived.read_bytes()
    assert lake.rows("from rejects") == [], "what comes again is a repeat"


@pytest.mark.parametrize("key", ["ann", 'a"nn', "änn", "back\\slash"])
def test_a_line_keeps_all_but_the_user(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request], key: str
) -> None:
    """Whatever else it says, be it the very text that names the user."""
    told = f'"user_key": {json.dumps(key)}'
    came = make_request(1, user_key=key, question=told, answer=told, fused=(Hit(told, 1.0),))
    spool(workspace, came)
    ingest(lake, workspace)
    (archived,) = (workspace.spool / "archive").glob("*.jsonl")
    (line,) = archived.read_bytes().splitlines()
    assert parse_line(line) == replace(came, user_key=user_key(workspace, key))
    (stored,) = load_requests(lake)
    assert stored == parse_line(line)


@pytest.mark.parametrize("again", ['"user_key":"ann"', '"user_\\u006bey": "ann"'])
def test_a_line_that_names_the_user_twice_names_nobody(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request], again: str
) -> None:
    said = json.dumps(record_to_json(make_request(1, user_key="ann")))
    workspace.spool.mkdir(exist_ok=True)
    (workspace.spool / "foreign.jsonl").write_text(f"{said[:-1]}, {again}}}\n")
    ingest(lake, workspace)
    (archived,) = (workspace.spool / "archive").glob("*.jsonl")
    assert b"ann" not in archived.read_bytes()


def test_a_forgotten_user_who_comes_as_a_raw_id_is_turned_away(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    gone = user_tombstone(workspace, user_key(workspace, "ann"))
    lake.write(lambda cursor: add_forgotten(cursor, [gone]))
    spool(workspace, make_request(1, user_key="ann"), make_request(2, user_key="bob"))
    assert ingest(lake, workspace) == IngestReport(1, 1, 1, 0)
    (kept,) = load_requests(lake)
    assert kept.user_key == user_key(workspace, "bob")


def test_a_table_brings_no_raw_user_id(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    rows = [request_row(make_request(n, user_key=key), None, "") for n, key in enumerate("ab")]
    ingest_table(lake, pa.Table.from_pylist(rows, schema=COLUMNS), "table.parquet")
    assert [one.user_key for one in load_requests(lake)] == [user_key(workspace, k) for k in "ab"]


def test_the_same_again_is_repeated_and_another_body_is_rejected(
    lake: Lake, workspace: Workspace, telling: list[Record]
) -> None:
    spool(workspace, *telling)
    ingest(lake, workspace)
    spool(workspace, *telling, replace(telling[0], answer=f"someone else, not {MAIL}"))
    assert ingest(lake, workspace) == IngestReport(1, 0, 1, 6)
    assert MAIL not in everything(lake, workspace)


def test_an_archive_loads_again_to_the_same(
    lake: Lake, workspace: Workspace, telling: list[Record]
) -> None:
    spool(workspace, *telling)
    ingest(lake, workspace)
    (archived,) = (workspace.spool / "archive").glob("*.jsonl")
    plain = json.dumps(record_to_json(telling[1])).encode()
    assert archived.read_bytes().splitlines()[1] == plain, "a line that may stay stays as it came"
    (workspace.spool / "again-1.jsonl").write_bytes(archived.read_bytes())
    assert ingest(lake, workspace) == IngestReport(1, 0, 0, 6)


def test_an_archive_can_be_encrypted_and_says_so_before_anything_is_loaded(
    lake: Lake, workspace: Workspace, telling: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.configuration.write_text("[privacy]\nencrypt = ['archive']\n")
    spool(workspace, *telling)
    monkeypatch.delenv("RAGDIAG_KEY", raising=False)
    with pytest.raises(KeyMissing, match="RAGDIAG_KEY holds no key"):
        ingest(lake, workspace)
    assert lake.rows("from segments") == []
    monkeypatch.setenv("RAGDIAG_KEY", new_key())
    assert ingest(lake, workspace).accepted == 6
    (archived,) = (workspace.spool / "archive").glob("*.jsonl")
    assert b"Nothing to hide" not in archived.read_bytes()
    with open_decrypted(archived, workspace_keys(workspace)) as lines:
        content = lines.read()
    assert b"Nothing to hide" in content
    again = workspace.spool / archived.name
    again.write_bytes(content)
    assert ingest(lake, workspace) == IngestReport()
    assert not again.exists(), "the same segment once more, already loaded"
    again.write_bytes(content + b"not json\n")
    assert ingest(lake, workspace) == IngestReport()
    assert [path.name for path in workspace.spool.glob("*-again-*.jsonl")]


def test_lines_that_cannot_be_read_are_screened_too(lake: Lake, workspace: Workspace) -> None:
    workspace.spool.mkdir(parents=True)
    (workspace.spool / "bad-1.jsonl").write_text(
        f'not json {MAIL}\n{{"kind": "{MAIL}", "schema": 1}}\n{"x" * 1990} {MAIL}\ntorn {MAIL}'
    )
    assert ingest(lake, workspace).rejected == 4
    assert MAIL.partition("@")[0] + "@" not in everything(lake, workspace)


@pytest.mark.parametrize("redact", ["[]", "['email']"])
def test_a_torn_line_of_a_span_leaves_no_user_id(
    lake: Lake, workspace: Workspace, redact: str
) -> None:
    workspace.configuration.write_text(f"[privacy]\nredact = {redact}\n")
    torn = b'{"kind": "span", "schema": 2, "trace_id": "t", "attributes": {"user.id": "ann77", "in'
    workspace.spool.mkdir(exist_ok=True)
    (workspace.spool / "torn.jsonl").write_bytes(torn + b"\n")
    assert ingest(lake, workspace).rejected == 1
    assert lake.rows("select body from rejects") == [{"body": ""}]
    assert "ann77" not in everything(lake, workspace)


def refused(trace: str, name: str = "ask") -> Reject:
    """As a receiver tells of a span."""
    return Reject("otlp", 1, f"span of {MAIL} has no end time", excerpt(trace, "s1", name))


@pytest.mark.parametrize(
    ("privacy", "bodies"),
    [
        ("redact = []", [excerpt("t1", "s1", f"ask {MAIL}"), ""]),
        ("", [excerpt("t1", "s1", "ask [email]"), ""]),
        ("store_text = false", ["[text ", "[text "]),
    ],
)
def test_what_was_refused_is_screened_and_comes_out_of_the_archive_as_it_went_in(
    lake: Lake, workspace: Workspace, telling: list[Record], privacy: str, bodies: list[str]
) -> None:
    workspace.configuration.write_text(f"[privacy]\n{privacy}\n")
    told = [refused("t1", f"ask {MAIL}"), refused("t2", '{"user.id": "ann77"}')]
    with SpoolWriter(workspace) as writer:
        writer.write(telling[0])
        writer.write_rejects(told)
        writer.write(telling[1])
    assert ingest(lake, workspace) == IngestReport(1, 2, 2, 0)
    rows = lake.rows("select line, reason, body from rejects order by line")
    who = MAIL if "[]" in privacy else "[email]"
    assert [row["line"] for row in rows] == [2, 3]
    assert {row["reason"] for row in rows} == {f"span of {who} has no end time"}
    assert all(row["body"].startswith(body) for row, body in zip(rows, bodies, strict=True))
    assert "ann77" not in everything(lake, workspace)
    assert (MAIL in everything(lake, workspace)) == ("[]" in privacy)
    (archived,) = (workspace.spool / "archive").glob("*.jsonl")
    (workspace.spool / "again-1.jsonl").write_bytes(archived.read_bytes())
    assert ingest(lake, workspace) == IngestReport(1, 0, 2, 2)
    again = "select line, reason, body from rejects where source = 'again-1.jsonl' order by line"
    assert lake.rows(again) == rows


@pytest.mark.parametrize("first", ["what was refused", "its trace"])
def test_what_was_refused_of_a_forgotten_users_trace_says_only_why(
    lake: Lake, workspace: Workspace, telling: list[Record], first: str
) -> None:
    gone = user_tombstone(workspace, user_key(workspace, MAIL))
    lake.write(lambda cursor: add_forgotten(cursor, [gone]))
    with SpoolWriter(workspace) as writer:
        if first == "its trace":
            writer.write(telling[-1])
        writer.write_rejects([refused("t1", "ask Ann"), refused("t2")])
        if first != "its trace":
            writer.write(telling[-1])
    assert ingest(lake, workspace) == IngestReport(1, 0, 3, 0)
    assert "ask Ann" not in everything(lake, workspace)
    with SpoolWriter(workspace) as writer:
        writer.write_rejects([refused("t1", "ask Ann")])
    assert ingest(lake, workspace) == IngestReport(1, 0, 1, 0)
    assert "ask Ann" not in everything(lake, workspace)
    assert lake.rows("select count(*) as n from rejects where reason = ?", [REASON]) == [{"n": 3}]


def test_texts_need_not_be_stored_at_all(
    lake: Lake, workspace: Workspace, telling: list[Record], make_request: Callable[..., Request]
) -> None:
    workspace.configuration.write_text("[privacy]\nstore_text = false\n")
    own = make_request(7, question="What is glass made of?", traffic="evaluation")
    spool(workspace, *telling, make_request(3, question="Nothing to hide", answer="yes"), own)
    (workspace.spool / "bad-1.jsonl").write_text('{"question": "Nothing to read"}\n')
    assert ingest(lake, workspace).accepted == 8
    found = everything(lake, workspace)
    for text in ("Nothing to hide", "Nothing to read", "is Ann", "names", "Ann:", MAIL):
        assert text not in found, text
    rows = {request.request_id: request for request in load_requests(lake)}
    assert rows["r2"].question == rows["r3"].question
    assert is_hidden(rows["r2"].question)
    assert is_hidden(rows["r1"].error or "")
    assert rows["r7"] == own, "what ragdiag asked itself stays"
    assert ingest(lake, workspace) == IngestReport()


def test_what_jobs_write_is_redacted(lake: Lake) -> None:
    save_findings(lake, grades=[Grade("r1", "judge", 1, reason=f"as {MAIL} says")])
    save_rejects(lake, [Reject("file.csv", 3, f"bad {MAIL}", f"row of {MAIL}")])
    assert lake.rows("select reason from grades") == [{"reason": "as [email] says"}]
    assert lake.rows("select reason, body from rejects") == [
        {"reason": "bad [email]", "body": "row of [email]"}
    ]


@pytest.mark.parametrize("stored", ["true", "false"])
def test_columns_are_screened_as_records_are(
    workspace: Workspace, make_request: Callable[..., Request], stored: str
) -> None:
    workspace.root.mkdir()
    workspace.configuration.write_text(f"[privacy]\nstore_text = {stored}\n")
    requests = [
        make_request(1, question=MAIL, error=None, topic=MAIL),
        make_request(2, question=MAIL, traffic="evaluation", error=MAIL, degraded_reason=MAIL),
        make_request(3, question="plain", answer=""),
        make_request(4, question=f"[text {'0' * 32}]", answer=MAIL),
    ]
    schema = SCHEMAS["requests"]
    table = pa.Table.from_pylist([request_row(one, None, "s") for one in requests], schema=schema)
    screen = open_screen(workspace)
    screened = screen_requests(screen, pa.concat_tables([table.slice(0, 2), table.slice(2)]))
    assert screened.schema == schema
    assert requests_from_table(screened) == screen_records(screen, requests)
    assert requests_from_table(screen_requests(screen, screened)) == requests_from_table(screened)


def test_lines_are_exchanged_by_number_and_the_rest_stays(workspace: Workspace) -> None:
    workspace.root.mkdir()
    path = workspace.root / "s.jsonl"
    path.write_bytes(b"one\n\nthree\ntorn")
    ring = Keyring("RAGDIAG_KEY", (Key(b"k" * 32),))
    exchange_lines(path, {1: b"1", 3: b"", 4: b"4"}, ring)
    assert path.read_bytes() == b"1\n\n\n4"
    exchange_lines(workspace.root / "gone.jsonl", {1: b"x"}, ring)
    packed = workspace.root / "s.jsonl.zst"
    with write_archived(packed, ring) as target:
        target.write(b"one\ntwo\n")
    exchange_lines(packed, {2: b""}, ring)
    assert is_encrypted(packed)
    with open_archived(packed, ring) as lines:
        assert lines.read() == b"one\n\n"
    assert sorted(p.name for p in workspace.root.iterdir()) == ["s.jsonl", "s.jsonl.zst"]


def test_a_table_of_requests_is_screened_as_the_spool_is(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    requests = [make_request(1, question=f"Who is {MAIL}?"), make_request(2, user_key="f" * 32)]
    rows = [{**request_row(one, None, ""), "line": n} for n, one in enumerate(requests)]
    table = pa.Table.from_pylist(rows, schema=COLUMNS)
    lake.write(lambda cursor: add_forgotten(cursor, [user_tombstone(workspace, "f" * 32)]))
    assert ingest_table(lake, table, "table.parquet") == IngestReport(1, 1, 1, 0)
    assert [one.question for one in load_requests(lake)] == ["Who is [email]?"]
    assert lake.rows("select line, reason, body from rejects") == [
        {"line": 2, "reason": "its user was forgotten", "body": ""}
    ]
