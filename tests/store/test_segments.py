from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from ragdiag.errors import StoreError, StoreFull
from ragdiag.records import Request
from ragdiag.settings import Workspace
from ragdiag.store import segments
from ragdiag.store.spool import SpoolWriter, adopt_orphans

Start = Callable[..., subprocess.Popen[str]]


Finish = Callable[[subprocess.Popen[str]], str]


MakeRequest = Callable[..., Request]


def lines(workspace: Workspace, pattern: str = "*.jsonl") -> list[dict[str, object]]:
    return [
        json.loads(line)
        for path in sorted(workspace.spool.glob(pattern))
        for line in path.read_text().splitlines()
    ]


def test_segments_do_not_outgrow_their_size(
    workspace: Workspace, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "ROTATE_BYTES", 3_000)
    with SpoolWriter(workspace) as spool:
        for number in range(20):
            spool.write(make_request(number))
        spool.write(make_request(20, answer="x" * 5_000))
    sizes = sorted(path.stat().st_size for path in workspace.spool.glob("*.jsonl"))
    assert len(sizes) > 3
    assert all(size <= 3_000 for size in sizes[:-1])
    assert len(lines(workspace)) == 21


WRITE_UNTIL_KILLED = """
from datetime import UTC, datetime
from ragdiag.records import Request
from ragdiag.store.spool import SpoolWriter
spool = SpoolWriter(workspace, writer="victim")
number = 0
while True:
    spool.write(Request(f"r{number}", datetime.now(UTC), "v1", "production", "why? " * 50))
    print(number, flush=True)
    number += 1
"""


def test_what_write_returned_for_survives_sigkill(
    workspace: Workspace, start_python: Start
) -> None:
    process = start_python(WRITE_UNTIL_KILLED)
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(2_000)][-1]
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().split("\n")
    acknowledged = max([acknowledged, *(int(number) for number in rest[:-1] if number)])
    process.wait()
    adopt_orphans(workspace)
    assert list(workspace.spool.glob("*.open")) == []
    found = {line["request_id"] for line in lines(workspace)}
    assert found >= {f"r{number}" for number in range(acknowledged + 1)}


WRITE_AND_WAIT = """
from datetime import UTC, datetime
from ragdiag.records import Request
from ragdiag.store import spool as module
module.ROTATE_AFTER_S = 60.0
spool = module.SpoolWriter(workspace)
spool.write(Request("alive", datetime.now(UTC), "v1", "production", "why?"))
print("written", flush=True)
sys.stdin.read()
import time; time.sleep(60)
"""


def test_only_the_dead_are_adopted(workspace: Workspace, start_python: Start) -> None:
    process = start_python(WRITE_AND_WAIT)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    assert adopt_orphans(workspace) == 0
    process.kill()
    process.wait()
    assert adopt_orphans(workspace) == 1
    assert [line["request_id"] for line in lines(workspace)] == ["alive"]
    assert adopt_orphans(workspace) == 0


def test_an_empty_orphan_is_cleared_away(workspace: Workspace) -> None:
    workspace.spool.mkdir(parents=True)
    (workspace.spool / "gone-1-1.open").touch()
    assert adopt_orphans(workspace) == 0
    assert list(workspace.spool.iterdir()) == []


FORK = """
import os
from datetime import UTC, datetime
from ragdiag.records import Request
from ragdiag.store.spool import SpoolWriter
spool = SpoolWriter(workspace)
def write(name):
    spool.write(Request(name, datetime.now(UTC), "v1", "production", "why?"))
write("before")
child = os.fork()
write("child" if child == 0 else "parent")
spool.close()
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_child_writes_its_own_segment(
    workspace: Workspace, start_python: Start, finish: Finish
) -> None:
    finish(start_python(FORK))
    assert sorted(str(line["request_id"]) for line in lines(workspace)) == [
        "before",
        "child",
        "parent",
    ]
    assert len(list(workspace.spool.glob("*.jsonl"))) == 2


def test_a_full_disk_takes_the_line_back_whole(
    workspace: Workspace, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = SpoolWriter(workspace)
    spool.write(make_request(1))
    real_write = os.write
    room = [100]

    def nearly_full(descriptor: int, data: bytes) -> int:
        taken = real_write(descriptor, data[: room[0]]) if room[0] else 0
        room[0] -= taken
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return taken

    with monkeypatch.context() as patched:
        patched.setattr(segments.os, "write", nearly_full)
        with pytest.raises(StoreFull, match=str(workspace.spool)):
            spool.write(make_request(2))
    spool.write(make_request(3))
    spool.close()
    assert [line["request_id"] for line in lines(workspace)] == ["r1", "r3"]


def test_a_disk_that_refuses_to_sync_loses_nothing(
    workspace: Workspace, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = SpoolWriter(workspace)
    spool.write(make_request(1))

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(segments.os, "fsync", refuse)
        with pytest.raises(StoreError, match="Input/output error"):
            spool.close()
    spool.close()
    assert [line["request_id"] for line in lines(workspace)] == ["r1"]
