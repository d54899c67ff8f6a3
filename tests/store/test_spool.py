from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from ragdiag.errors import InputError, StoreError
from ragdiag.records import Feedback, Hit, Request
from ragdiag.settings import Workspace
from ragdiag.store import segments as segments_module
from ragdiag.store import spool as spool_module
from ragdiag.store.ingest import ingest
from ragdiag.store.intake.blocks import LONGEST_LINE
from ragdiag.store.lake import Lake
from ragdiag.store.lines import parse_line
from ragdiag.store.spool import SpoolWriter, record_to_json

Start = Callable[..., subprocess.Popen[str]]
Finish = Callable[[subprocess.Popen[str]], str]
MakeRequest = Callable[..., Request]


def lines(workspace: Workspace, pattern: str = "*.jsonl") -> list[dict[str, object]]:
    return [
        json.loads(line)
        for path in sorted(workspace.spool.glob(pattern))
        for line in path.read_text().splitlines()
    ]


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_a_line_says_the_whole_record(
    make_request: MakeRequest, make_feedback: Callable[..., Feedback]
) -> None:
    line = record_to_json(make_request(3, dense=None, reranked=()))
    assert (line["kind"], line["schema"], line["request_id"]) == ("request", 2, "r3")
    assert line["asked_at"] == "2026-01-05T12:03:00+00:00"
    assert line["dense"] is None
    assert line["reranked"] == {"passage_id": [], "score": []}
    assert line["lexical"] == {"passage_id": ["p1", "p2"], "score": [2.5, 0.1 + 0.2]}
    assert line["context"] == {"passage_id": ["p2"], "score": [1.0], "chars": [40]}
    assert line["latency_ms"] == {"lexical": 1.5, "total": 20.25}
    line = record_to_json(make_feedback())
    assert (line["kind"], line["feedback_kind"]) == ("feedback", "thumbs")


def test_close_hands_over_in_order(workspace: Workspace, make_request: MakeRequest) -> None:
    with SpoolWriter(workspace, writer="web") as spool:
        for number in range(5):
            spool.write(make_request(number))
        assert len(lines(workspace, "*.open")) == 5
    assert [line["request_id"] for line in lines(workspace)] == [f"r{n}" for n in range(5)]
    (path,) = workspace.spool.iterdir()
    assert path.name.startswith(f"web-{os.getpid()}-")
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_written_leaves_no_file(workspace: Workspace) -> None:
    with SpoolWriter(workspace):
        pass
    assert not workspace.spool.exists()


def test_an_idle_writers_lines_are_handed_over_too(
    workspace: Workspace, make_request: MakeRequest
) -> None:
    spool = SpoolWriter(workspace)
    spool.write(make_request())
    assert wait_for(lambda: len(lines(workspace)) == 1)
    assert list(workspace.spool.glob("*.open")) == []
    spool.write(make_request(2))
    spool.close()
    assert len(lines(workspace)) == 2


def test_threads_share_a_writer(workspace: Workspace, make_request: MakeRequest) -> None:
    with SpoolWriter(workspace) as spool:

        def write(worker: int) -> None:
            for number in range(200):
                spool.write(make_request(number, request_id=f"{worker}-{number}"))

        threads = [threading.Thread(target=write, args=[worker]) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = [str(line["request_id"]) for line in lines(workspace)]
    assert len(found) == len(set(found)) == 1600
    for worker in range(8):
        own = [name for name in found if name.startswith(f"{worker}-")]
        assert own == [f"{worker}-{number}" for number in range(200)]


def test_a_spool_folder_deleted_meanwhile_is_told_once(
    workspace: Workspace, make_request: MakeRequest
) -> None:
    spool = SpoolWriter(workspace)
    spool.write(make_request(1))
    next(workspace.spool.glob("*.open")).unlink()
    with pytest.raises(StoreError, match="cannot read or write"):
        spool.flush()
    spool.write(make_request(2))
    spool.close()
    assert [line["request_id"] for line in lines(workspace)] == ["r2"]


def test_a_folder_that_cannot_be_made_is_a_store_error(
    tmp_path: Path, make_request: MakeRequest
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot read or write .*spool"):
        SpoolWriter(Workspace(tmp_path / "file")).write(make_request())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cost_usd", float("nan")),
        ("asked_at", datetime(2026, 1, 5)),
        ("fused", (Hit("p1", float("inf")),)),
        ("answer", object()),
    ],
)
def test_what_json_cannot_carry_is_refused_before_it_is_written(
    workspace: Workspace, make_request: MakeRequest, field: str, value: object
) -> None:
    with (
        SpoolWriter(workspace) as spool,
        pytest.raises(InputError, match="request r1 cannot be logged"),
    ):
        spool.write(make_request(1, **{field: value}))
    assert lines(workspace) == []


def test_a_line_that_ingest_would_not_read_is_not_written(
    workspace: Workspace, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = make_request(1, answer="a")
    longer = make_request(2, answer="ab")
    monkeypatch.setattr(spool_module, "LONGEST_LINE", len(json.dumps(record_to_json(fits))))
    with SpoolWriter(workspace) as spool:
        spool.write(fits)
        with pytest.raises(InputError, match=r"request r2 cannot be logged \(its line is longer"):
            spool.write(longer)
        assert spool.write_all([fits, longer, fits]) == [longer]
    assert [line["request_id"] for line in lines(workspace)] == ["r1"] * 3


def test_the_longest_line_is_ingested(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    room = LONGEST_LINE - len(json.dumps(record_to_json(make_request(1, answer=""))))
    with SpoolWriter(workspace) as spool:
        spool.write(make_request(1, answer="x" * room))
    assert ingest(lake, workspace).accepted == 1


def test_a_writers_name_is_a_file_name(workspace: Workspace) -> None:
    with pytest.raises(InputError, match="cannot name a spool writer"):
        SpoolWriter(workspace, writer="../etc")


def test_a_service_that_logs_loads_no_heavy_module(start_python: Start, finish: Finish) -> None:
    code = "import ragdiag.store.spool\nprint(*sys.modules)"
    loaded = set(finish(start_python(code)).split())
    assert "ragdiag.store.spool" in loaded
    assert not loaded & {"duckdb", "pyarrow", "pydantic", "torch", "numpy", "pandas"}


def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No segment is handed over because of its age."""
    for module in (segments_module, spool_module):
        monkeypatch.setattr(module, "ROTATE_AFTER_S", 600.0)


def test_many_records_are_lines_like_any_other(
    workspace: Workspace, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "BLOCK_BYTES", 3_000)
    patient(monkeypatch)
    requests = [make_request(number) for number in range(20)]
    with SpoolWriter(workspace) as writer:
        writer.write_all(requests)
        writer.write_all([])
        writer.write(make_request(20))
    (segment,) = workspace.spool.glob("*.jsonl")
    read = [parse_line(line) for line in segment.read_bytes().splitlines()]
    assert read == [*requests, make_request(20)]


def test_sync_reaches_the_disk_and_leaves_the_segment_open(
    workspace: Workspace, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch)
    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: (synced.append(descriptor), fsync(descriptor))
    )
    writer = SpoolWriter(workspace)
    writer.sync()
    assert synced == []
    writer.write_all([make_request(1)])
    writer.sync()
    assert len(synced) == 2  # the lines, and the name of the new file
    writer.write_all([make_request(2)])
    writer.sync()
    assert len(synced) == 3
    assert len(list(workspace.spool.glob("*.open"))) == 1
    writer.close()


def test_sync_tells_of_a_segment_that_was_deleted(
    workspace: Workspace, make_request: MakeRequest
) -> None:
    writer = SpoolWriter(workspace)
    writer.write(make_request(1))
    (segment,) = workspace.spool.glob("*.open")
    segment.unlink()
    with pytest.raises(StoreError, match="cannot read or write"):
        writer.sync()


def test_sync_tells_of_a_hand_over_that_failed_unseen(
    workspace: Workspace, make_request: MakeRequest
) -> None:
    writer = SpoolWriter(workspace)
    writer.write(make_request(1))
    (segment,) = workspace.spool.glob("*.open")
    segment.unlink()
    timers = (thread for thread in threading.enumerate() if isinstance(thread, threading.Timer))
    for timer in timers:
        timer.join()
    with pytest.raises(StoreError, match="cannot read or write"):
        writer.sync()
    writer.sync()
    writer.write(make_request(2))
    writer.close()
    assert len(list(workspace.spool.glob("*.jsonl"))) == 1


def test_an_idle_hand_over_that_failed_is_tried_again_and_told(
    workspace: Workspace, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (segments_module, spool_module):
        monkeypatch.setattr(module, "ROTATE_AFTER_S", 0.05)
    hand_over, tries = segments_module.Segment.hand_over, []

    def fail_once(segment: segments_module.Segment) -> None:
        tries.append(segment)
        if len(tries) == 1:
            raise OSError(28, "no space left on device")
        hand_over(segment)

    monkeypatch.setattr(segments_module.Segment, "hand_over", fail_once)
    spool = SpoolWriter(workspace)
    spool.write(make_request(1))
    assert wait_for(lambda: len(lines(workspace)) == 1)
    with pytest.raises(StoreError):
        spool.write(make_request(2))
    spool.write(make_request(3))
    spool.close()


def test_a_segment_deleted_while_its_writer_is_idle_is_told_at_the_next_write(
    workspace: Workspace, make_request: MakeRequest
) -> None:
    spool = SpoolWriter(workspace)
    spool.write(make_request(1))
    next(workspace.spool.glob("*.open")).unlink()
    assert wait_for(lambda: spool._segment is None)
    with pytest.raises(StoreError, match="cannot read or write"):
        spool.write(make_request(2))
    spool.write(make_request(3))
    spool.close()
    assert [line["request_id"] for line in lines(workspace)] == ["r3"]
