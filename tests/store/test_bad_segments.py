"""Segments that are hurt: the good lines are loaded, the bad ones named, nothing is held."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ragdiag.records import Request, Span
from ragdiag.settings import Workspace
from ragdiag.store import ingest as ingest_module
from ragdiag.store.ingest import IngestReport, ingest
from ragdiag.store.intake import blocks
from ragdiag.store.kinds import record_to_json
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests

MakeRequest = Callable[..., Request]


def line(request: Request) -> bytes:
    return json.dumps(record_to_json(request)).encode() + b"\n"


@pytest.fixture
def segment(workspace: Workspace) -> Path:
    workspace.spool.mkdir(parents=True)
    return workspace.spool / "w-1-1.jsonl"


def reasons(lake: Lake) -> list[tuple[int, str]]:
    rows = lake.rows("select line, reason from rejects order by line")
    return [(row["line"], row["reason"]) for row in rows]


def test_a_line_of_200_mb_is_passed_over_without_being_held(
    lake: Lake, workspace: Workspace, segment: Path, make_request: MakeRequest
) -> None:
    with segment.open("wb") as file:
        file.write(line(make_request(1)) + b'{"kind": "request", "schema": 2, "answer": "')
        for _ in range(200):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n' + line(make_request(2)))
    tracemalloc.start()
    report = ingest(lake, workspace)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report == IngestReport(1, accepted=2, rejected=1)
    assert reasons(lake) == [(2, "longer than 16000000 bytes")]
    assert peak < 8 * blocks.BLOCK_BYTES  # not the 25 that the line alone would need


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 5000])
def test_blocks_cut_anywhere_give_the_same_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"a\n\n" + b"b" * 900 + b"\n" + b"c" * 90 + b"\ntorn")
    monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
    monkeypatch.setattr(blocks, "LONGEST_LINE", 100)
    found = list(blocks.read_blocks(path))
    lines = {n: text for b in found for n, text in enumerate(b.lines, start=b.first)}
    assert lines == {1: b"a", 2: b"", 3: b"", 4: b"c" * 90, 5: b""}
    unread = [(n, reason) for b in found for n, reason, _ in b.unread]
    assert unread == [
        (3, "longer than 100 bytes"),
        (5, "torn: the writer died within this line"),
    ]


def test_a_truncated_segment_and_another_encoding(
    lake: Lake, workspace: Workspace, segment: Path, make_request: MakeRequest
) -> None:
    whole = b"".join(line(make_request(number)) for number in (1, 2, 3))
    segment.write_bytes(whole[:-200])
    foreign = json.dumps(record_to_json(make_request(4, answer="Ünïcode")), ensure_ascii=False)
    (workspace.spool / "latin-1-2.jsonl").write_bytes(foreign.encode("latin-1") + b"\n")
    (workspace.spool / "wide-1-3.jsonl").write_bytes(
        line(make_request(5)).decode().encode("utf-16")
    )
    report = ingest(lake, workspace)
    assert [request.request_id for request in load_requests(lake)] == ["r1", "r2"]
    assert (report.segments, report.accepted, report.rejected) == (3, 2, 4)
    assert any(reason.startswith("torn") for _, reason in reasons(lake))


def test_a_segment_larger_than_memory_should_hold(
    lake: Lake,
    workspace: Workspace,
    segment: Path,
    make_request: MakeRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests = [make_request(number) for number in range(60)]
    other = make_request(7, answer="Nine.")
    segment.write_bytes(b"".join(map(line, [*requests, requests[3], other])))
    size = segment.stat().st_size
    monkeypatch.setattr(ingest_module, "BATCH_BYTES", size // 6)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", size // 12)
    before = lake.snapshot()
    assert ingest(lake, workspace) == IngestReport(1, accepted=60, rejected=1, repeated=1)
    assert lake.snapshot() - before == 1
    assert reasons(lake) == [(62, "another request has the id 'r7'; the first stays")]
    assert len(load_requests(lake)) == 60


def test_a_request_from_the_future_is_loaded_and_remarked_on(
    lake: Lake, workspace: Workspace, segment: Path, make_request: MakeRequest
) -> None:
    now = datetime.now(UTC)
    skewed = make_request(1, asked_at=now + timedelta(hours=2))
    future = [make_request(n, asked_at=now + timedelta(days=n)) for n in (2, 3)]
    segment.write_bytes(b"".join(map(line, [skewed, *future])))
    assert ingest(lake, workspace) == IngestReport(1, accepted=3)
    (remark,) = lake.rows("select source, line, reason from remarks")
    assert (remark["source"], remark["line"]) == (segment.name, 2)
    assert remark["reason"].startswith("2 requests, from this line on, are up to 2 days ahead")


def test_spans_from_the_future_are_remarked_on_as_requests_are(
    lake: Lake, workspace: Workspace, segment: Path
) -> None:
    now = datetime.now(UTC)
    starts = [now, now + timedelta(hours=2), *(now + timedelta(days=n) for n in (2, 3))]
    spans = [Span("t", f"s{n}", None, "ask", at, at) for n, at in enumerate(starts)]
    segment.write_bytes(
        b"".join(json.dumps(record_to_json(span)).encode() + b"\n" for span in spans)
    )
    assert ingest(lake, workspace) == IngestReport(1, accepted=4)
    (remark,) = lake.rows("select source, line, reason from remarks")
    assert (remark["source"], remark["line"]) == (segment.name, 3)
    assert remark["reason"].startswith("2 spans, from this line on, are up to 2 days ahead of")


def test_lines_of_the_first_schema_are_read_for_good(
    lake: Lake, workspace: Workspace, segment: Path, make_request: MakeRequest
) -> None:
    request = make_request(1)
    old = record_to_json(request) | {"schema": 1, "dense": None, "reranked": None}
    for name in ("lexical", "fused", "context"):
        columns = old[name]
        old[name] = [
            dict(zip(columns, hit, strict=True)) for hit in zip(*columns.values(), strict=True)
        ]
    segment.write_bytes(json.dumps(old).encode() + b"\n" + line(request))
    assert ingest(lake, workspace) == IngestReport(1, accepted=1, repeated=1)
    assert load_requests(lake) == [request]
