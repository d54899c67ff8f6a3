from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ragdiag.records import Feedback, Request
from ragdiag.settings import Workspace
from ragdiag.store.ingest import IngestReport, ingest
from ragdiag.store.intake import loading
from ragdiag.store.intake.arrivals import Arrival, place_requests
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.results import load_requests
from ragdiag.store.spool import SpoolWriter, record_to_json

Start = Callable[..., subprocess.Popen[str]]


Finish = Callable[[subprocess.Popen[str]], str]


MakeRequest = Callable[..., Request]


def spool(workspace: Workspace, *records: Request | Feedback) -> None:
    with SpoolWriter(workspace) as writer:
        for record in records:
            writer.write(record)


def segment(workspace: Workspace, name: str, *lines: Any, end: str = "\n") -> Path:
    workspace.spool.mkdir(parents=True, exist_ok=True)
    path = workspace.spool / name
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + end)
    return path


def rejects(lake: Lake) -> list[tuple[str, int, str]]:
    rows = lake.rows("select source, line, reason from rejects order by source, line")
    return [(row["source"], row["line"], row["reason"]) for row in rows]


def test_dying_before_the_commit_leaves_the_segment_for_the_next(
    lake: Lake, workspace: Workspace, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool(workspace, make_request(1))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(loading, "insert_rejects", die)
        with pytest.raises(KeyboardInterrupt):
            ingest(lake, workspace)
    assert lake.rows("select * from segments") == []
    assert ingest(lake, workspace).accepted == 1


INGEST = """
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import open_lake
lake = open_lake(workspace)
while list(workspace.spool.glob("*.jsonl")):
    report = ingest(lake, workspace)
    print(report.segments, report.accepted, flush=True)
"""


def test_several_ingesters_at_once_load_each_segment_once(
    lake: Lake,
    workspace: Workspace,
    make_request: MakeRequest,
    start_python: Start,
    finish: Finish,
) -> None:
    for number in range(40):
        # Neighbouring segments overlap: an id must not slip in twice through two processes.
        bodies = [record_to_json(make_request(number + step)) for step in (0, 1)]
        segment(workspace, f"w-1-{number}.jsonl", *bodies)
    close_lakes()
    processes = [start_python(INGEST) for _ in range(3)]
    totals = [line.split() for process in processes for line in finish(process).splitlines()]
    assert sum(int(segments) for segments, _ in totals) == 40
    assert sum(int(accepted) for _, accepted in totals) == 41
    lake = open_lake(workspace)
    assert len(load_requests(lake)) == 41
    assert rejects(lake) == []


CRASH = """
from ragdiag.store import ingest as module
from ragdiag.store.lake import open_lake
import os, signal
module.put_away = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
module.ingest(open_lake(workspace), workspace)
"""


def test_killed_between_commit_and_archive(
    lake: Lake, workspace: Workspace, make_request: MakeRequest, start_python: Start
) -> None:
    spool(workspace, make_request(1))
    assert start_python(CRASH).wait(60) == -9
    assert len(list(workspace.spool.glob("*.jsonl"))) == 1
    assert ingest(lake, workspace) == IngestReport()
    assert len(load_requests(lake)) == 1


def test_a_reader_never_sees_half_a_segment(
    lake: Lake, workspace: Workspace, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool(workspace, *(make_request(number) for number in range(20)))
    seen = []

    def look_before_commit(cursor: duckdb.DuckDBPyConnection, arriving: pa.Table) -> Arrival:
        arrival = place_requests(cursor, arriving)
        seen.append(lake.rows("select count(*) as n from requests")[0]["n"])
        return arrival

    monkeypatch.setattr(loading, "place_requests", look_before_commit)
    ingest(lake, workspace)
    assert seen == [0]
    assert len(load_requests(lake)) == 20
