"""A batch of an import in the spool: whole, and once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from ragdiag.importers.logs.log_report import KindCounts
from ragdiag.importers.logs.segments import load_segments, make_segments
from ragdiag.importers.report import Origin
from ragdiag.records import Request
from ragdiag.settings import Workspace
from ragdiag.store.kinds import record_to_json
from ragdiag.store.lake import Lake

ROWS = 50


class MeetingHalfway(list[bytes]):
    """Lines that wait in their middle for another thread to be there too, if it comes."""

    meeting = threading.Barrier(2)

    def __iter__(self) -> Iterator[bytes]:
        for number, line in enumerate(super().__iter__()):
            if number == len(self) // 2:
                with suppress(threading.BrokenBarrierError):
                    self.meeting.wait(timeout=0.5)
            yield line


def test_two_imports_of_the_same_lines_at_once(lake: Lake, workspace: Workspace) -> None:
    asked = datetime(2026, 1, 1, tzinfo=UTC)
    requests = [Request(f"r{row}", asked, "v", "production", "q?") for row in range(ROWS)]
    lines = [json.dumps(record_to_json(request)).encode() + b"\n" for request in requests]
    (segment,) = make_segments("request", lines, [Origin("log.jsonl", n) for n in range(ROWS)])
    slow = replace(segment, lines=MeetingHalfway(lines))
    with ThreadPoolExecutor(2) as pool:
        loads = [pool.submit(load_segments, lake, workspace, [slow]) for _ in range(2)]
        reports = [load.result() for load in loads]
    assert lake.rows("select count(*) as n from requests") == [{"n": ROWS}]
    assert lake.rows("from rejects") == []
    assert [rejects for _, rejects in reports] == [[], []]
    assert KindCounts(new=ROWS) in [counts["request"] for counts, _ in reports]
