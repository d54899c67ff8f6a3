from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragdiag.privacy.pseudonyms import user_key
from ragdiag.records import Feedback, Request, Span
from ragdiag.settings import Workspace
from ragdiag.store.intake.segment_lines import record_line
from ragdiag.store.kinds import Record
from ragdiag.store.upkeep.forgotten import request_tombstone, user_tombstone
from ragdiag.store.upkeep.segment_sweep import Swept, find_in_segments, sweep_segments

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
SAID = Feedback("f1", "r1", MONDAY, "thumbs", -1)
ROOT = Span("t1", "s1", None, "ask", MONDAY, MONDAY, {"user.id": "ann"})
CHILD = Span("t1", "s2", "s1", "llm", MONDAY, MONDAY, {"input.value": "Who am I?"})
OTHERS = Span("t2", "s1", None, "ask", MONDAY, MONDAY, {"user.id": "bob"})


def put(path: Path, *records: Record) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(record_line(one) + b"\n" for one in records))
    return path


def tombstones(workspace: Workspace) -> frozenset[str]:
    return frozenset({user_tombstone(workspace, user_key(workspace, "ann"))})


@pytest.fixture
def spool(workspace: Workspace, make_request: Callable[..., Request]) -> Path:
    """Ann's trace and request over segments, whose lines do not all name her."""
    theirs = make_request(1, user_key=user_key(workspace, "ann"))
    assert theirs.request_id == SAID.request_id
    put(workspace.spool / "a.jsonl", CHILD, OTHERS)
    put(workspace.spool / "b.jsonl", ROOT, SAID)
    put(workspace.spool / "archive" / "c.jsonl", theirs)
    return workspace.spool


def test_lines_of_one_id_are_found_by_those_that_name_the_user(
    workspace: Workspace, spool: Path
) -> None:
    found = find_in_segments(workspace, tombstones(workspace))
    assert (found.request_ids, found.trace_ids) == (("r1",), ("t1",))
    ids = frozenset(request_tombstone(workspace, one) for one in found.ids)
    assert sweep_segments(workspace, ids, found.ids) == Swept(spool=3, archive=1)
    assert (spool / "a.jsonl").read_bytes() == b"\n" + record_line(OTHERS) + b"\n"
    assert sweep_segments(workspace, ids | tombstones(workspace), found.ids) == Swept()


def test_a_line_that_is_just_being_written_tells_whose_its_trace_is(
    workspace: Workspace, spool: Path
) -> None:
    (spool / "b.jsonl").unlink()
    live = put(spool / "b.open", ROOT)
    live.write_bytes(live.read_bytes() + b'{"kind": "sp')
    assert find_in_segments(workspace, tombstones(workspace)).trace_ids == ("t1",)


def test_nothing_is_found_where_nobody_is_forgotten(workspace: Workspace, spool: Path) -> None:
    assert find_in_segments(workspace, frozenset()).ids == ()


def test_of_an_id_that_is_somebody_elses_only_the_users_own_requests_go(
    workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    ann, bob = user_key(workspace, "ann"), user_key(workspace, "bob")
    theirs, others = make_request(1, user_key=ann), make_request(1, user_key=bob)
    elsewhere = make_request(2, user_key=ann)
    archived = put(workspace.spool / "archive" / "a.jsonl", others, theirs, SAID, elsewhere)
    own = tombstones(workspace)
    assert sweep_segments(workspace, frozenset(), [ann], of_users=own, taken=["r1"]) == Swept(
        archive=1
    )
    kept = [record_line(one) for one in (others, SAID, elsewhere)]
    assert archived.read_bytes().split(b"\n") == [kept[0], b"", *kept[1:], b""]
