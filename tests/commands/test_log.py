"""``ragdiag log``: good lines are kept, bad ones are told by number and reason."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ragdiag.cli import main
from ragdiag.privacy.pseudonyms import user_key
from ragdiag.records import Feedback, Hit, Request
from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.results import load_requests
from ragdiag.store.spool import record_to_json

Log = Callable[..., tuple[int, Any]]


@pytest.fixture
def log(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Log:
    """Run the command on lines from stdin; its status and its document."""
    workspace.catalog.parent.mkdir(parents=True)
    workspace.catalog.touch()

    def run(*lines: Any, options: tuple[str, ...] = ()) -> tuple[int, Any]:
        texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        stdin = io.TextIOWrapper(io.BytesIO(b"\n".join(texts)))
        monkeypatch.setattr(sys, "stdin", stdin)
        status = main(["--workspace", str(workspace.root), "log", "--json", *options])
        return status, json.loads(capsys.readouterr().out)

    return run


def spooled(workspace: Workspace) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(workspace.spool.glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]


def test_both_forms_reach_the_lake(log: Log, workspace: Workspace) -> None:
    workspace.catalog.unlink()
    lake = open_lake(workspace, create=True)
    failed = {"request_id": "r0", "question": "Why?", "error": "timeout"}
    short = {
        "request_id": "r1",
        "asked_at": "2026-01-05T13:00:00+01:00",
        "question": "How long do cats sleep?",
        "user": "ada@example.org",
        "hits": {"dense": [["p1", 0.5], {"id": "p2"}], "rerank": ["p2", "p1"]},
        "context": [{"id": "p2", "score": 0.75, "text": "Cats sleep."}],
        "latency_ms": {"dense": 3, "total": 12.5},
        "answer": "Fifteen hours.",
        "citations": ["p2"],
        "prompt_tokens": 120,
        "keep_probability": 0.5,
    }
    said = {"request_id": "r1", "feedback": "thumbs", "value": -1, "feedback_id": "f1"}
    status, document = log(short, b"", said, failed, options=("--version-id", "v1"))
    assert (status, document) == (0, {"spooled": 3, "rejects": []})
    first = [*spooled(workspace)]
    assert "ada@" not in json.dumps(first)
    assert log(*first)[0] == 0  # the spool's own form, and the same again
    report = ingest(lake, workspace)
    assert (report.accepted, report.rejected, report.repeated) == (3, 0, 3)
    other, request = sorted(load_requests(lake), key=lambda one: one.request_id)
    close_lakes()
    assert (other.status, other.error) == ("error", "timeout")
    assert request.asked_at.isoformat() == "2026-01-05T12:00:00+00:00"
    assert (request.version_id, request.user_key) == ("v1", user_key(workspace, "ada@example.org"))
    assert request.fused == request.dense == (Hit("p1", 0.5), Hit("p2", 0.5))
    assert request.reranked == (Hit("p2", 1.0), Hit("p1", 0.5))
    assert [(hit.passage_id, hit.chars) for hit in request.context] == [("p2", 11)]
    assert request.keep_probability == 0.5
    assert request.latency_ms == {"dense": 3.0, "total": 12.5}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff{}", "not JSON"),
        (b'["question"]', "not a JSON object"),
        ({"question": "q"}, "version_id is empty"),
        ({"question": "", "version_id": "v"}, "question is empty"),
        ({"question": "q", "version_id": "v", "score": 1}, "unknown field 'score'"),
        ({"question": "q", "version_id": "v", "asked_at": "2026-01-05"}, "asked_at is not a time"),
        ({"question": "q", "version_id": "v", "asked_at": "1950-01-05T00:00Z"}, "before 1970"),
        ({"question": "q", "version_id": "v", "hits": []}, "hits is a list, not an object"),
        ({"question": "q", "version_id": "v", "hits": {"x": []}}, "hits: 'x' is none of"),
        ({"question": "q", "version_id": "v", "hits": {"dense": "p1"}}, "dense is a str"),
        ({"question": "q", "version_id": "v", "hits": {"dense": [None]}}, "a hit is"),
        ({"question": "q", "version_id": "v", "context": ["p1"]}, "context: the characters"),
        ({"question": "q", "version_id": "v", "latency_ms": {"x": 1}}, "latency_ms: 'x'"),
        ({"question": "q", "version_id": "v", "cost_usd": float("nan")}, "cost_usd is nan"),
        ({"question": "q", "version_id": "v", "citations": 3}, "citations is a int, not a list"),
        ({"question": "q", "version_id": "v", "keep_probability": 0}, "not in (0, 1]"),
        ({"question": "q", "version_id": "v", "user_key": "u"}, "unknown field 'user_key'"),
        ({"question": "q", "version_id": "v", "request_id": ["r"]}, "request_id: an id"),
        ({"feedback": "stars", "request_id": "r1"}, "the kind is none of"),
        ({"feedback": "thumbs", "question": "q"}, "unknown field 'question'"),
        ({"feedback": "thumbs"}, "request_id: an id"),
        ({"schema": 1, "kind": "request"}, "request_id"),
        ({"schema": 9, "kind": "request"}, "schema 9 is not 1"),
        (b'{"question": "' + b"x" * 10_000_001 + b'"}', "longer than 10 MB"),
    ],
)
def test_bad_lines_are_told_and_the_others_kept(
    log: Log, workspace: Workspace, line: Any, reason: str
) -> None:
    good = {"question": "good", "version_id": "v1"}
    status, document = log(good, line, good)
    assert status == 2
    assert document["spooled"] == 2
    (reject,) = document["rejects"]
    assert reject["line"] == 2
    assert reason in reject["reason"]
    assert [one["question"] for one in spooled(workspace)] == ["good", "good"]


def test_a_raw_user_in_the_spools_own_form_becomes_a_pseudonym(
    log: Log, workspace: Workspace
) -> None:
    request = Request("r1", datetime(2026, 1, 5, tzinfo=UTC), "v1", "production", "q")
    users = ("ann", user_key(workspace, "bob"), None)
    log(*({**record_to_json(request), "user_key": user} for user in users))
    kept = [line["user_key"] for line in spooled(workspace)]
    assert kept == [user_key(workspace, "ann"), users[1], None]


def test_a_line_that_grows_too_long_in_the_spool_is_told(log: Log, workspace: Workspace) -> None:
    request = Request("r1", datetime(2026, 1, 5, tzinfo=UTC), "v1", "production", "q")
    grown = {**record_to_json(request), "answer": "語" * 2_700_000}  # six bytes each, of three
    status, document = log(json.dumps(grown, ensure_ascii=False).encode(), record_to_json(request))
    assert (status, document["spooled"]) == (2, 1)
    assert "its line is longer than 16000000 bytes" in document["rejects"][0]["reason"]


def test_one_line_as_an_argument(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], log: Log
) -> None:
    line = '{"question": "Why?", "version_id": "v1", "answer": "So."}'
    assert main(["--workspace", str(workspace.root), "log", line]) == 0
    assert capsys.readouterr().out == "spooled 1, rejected 0\n"
    assert main(["--workspace", str(workspace.root), "log", "{}"]) == 2
    assert capsys.readouterr().out.splitlines()[1].startswith("line 1: version_id is empty")


def test_a_workspace_that_is_not_there_is_not_made(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--workspace", str(workspace.root), "log", "{}"]) == 2
    assert "there is no workspace in" in capsys.readouterr().err
    assert not workspace.root.exists()


def test_a_line_of_every_record_is_read_back(log: Log, workspace: Workspace) -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    request = Request("r1", now, "v1", "canary", "q", keep_probability=0.25)
    feedback = Feedback("f1", "r1", now, "click", 1.0, "p1")
    assert log(record_to_json(request), record_to_json(feedback))[0] == 0
    assert spooled(workspace) == [record_to_json(request), record_to_json(feedback)]
