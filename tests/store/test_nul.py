"""NUL ends a string of the catalog's SQL: it gets into no lake, no query, and blocks nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ragdiag.records import Passage, Request
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents
from ragdiag.store.ingest import ingest
from ragdiag.store.kinds import record_to_json
from ragdiag.store.lake import Lake
from ragdiag.store.lines import BadLine, parse_line
from ragdiag.store.queries import Filters, failures

MakeRequest = Callable[..., Request]


def line(request: Request, **changes: object) -> bytes:
    return json.dumps({**record_to_json(request), **changes}).encode() + b"\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"question": "before\0after"},
        {"citations": ["p1", "\0"]},
        {"latency_ms": {"total\0": 1.0}},
        {"fused": [{"passage_id": "\0", "score": 1.0}]},
    ],
)
def test_a_line_with_a_nul_is_bad(make_request: MakeRequest, changes: dict[str, object]) -> None:
    with pytest.raises(BadLine, match="holds a NUL"):
        parse_line(line(make_request(), **changes))


def test_a_text_about_nul_is_kept(make_request: MakeRequest) -> None:
    request = make_request(question="What does \\u0000 mean in JSON?")
    assert parse_line(line(request)) == request


def test_lines_with_nul_and_zeroed_blocks_do_not_hold_up_the_rest(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    """A power cut can leave zeros at the end of a file."""
    workspace.spool.mkdir(parents=True)
    content = line(make_request(1)) + line(make_request(2), answer="\0") + line(make_request(3))
    (workspace.spool / "w-1-1.jsonl").write_bytes(content + bytes(4096))
    report = ingest(lake, workspace)
    assert (report.accepted, report.rejected) == (2, 2)
    kept = lake.rows("select line, reason, body from rejects order by line")
    assert [row["line"] for row in kept] == [2, 4]
    assert "NUL" in kept[0]["reason"]
    assert set(kept[1]["body"]) == {"\ufffd"}


def test_a_passage_with_a_nul_is_rejected(lake: Lake) -> None:
    change = add_documents(lake, [Passage("p1", "d1", "te\0xt"), Passage("p2", "d2", "text")])
    assert change.added == 1
    assert "NUL" in change.rejects[0].reason


def test_asking_for_a_nul_finds_nothing(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    workspace.spool.mkdir(parents=True)
    lines = b"".join(line(make_request(n)) for n in range(20))
    (workspace.spool / "w-1-1.jsonl").write_bytes(lines)
    ingest(lake, workspace)
    wanted = "select request_id from requests where version_id = $v and topic = $t"
    assert lake.rows(wanted, {"v": "v1\0", "t": " or true --"}) == []
    assert lake.rows("select 1 from requests where request_id = ?", ["\0"]) == []
    assert failures(lake, Filters(version_id="\0", topic="cats' or 'a' = 'a", text="\0")) == []
    assert len(lake.rows(wanted, {"v": "v1", "t": "cats"})) == 20
