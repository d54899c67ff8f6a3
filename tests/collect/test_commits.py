"""What shares an fsync shares nothing else."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import weakref
from collections import Counter

import pytest

from ragdiag.collect import telling
from ragdiag.collect.commits import Committer, Taken
from ragdiag.errors import StoreError
from ragdiag.http.refusals import Refusal
from ragdiag.records import Grade, Reject
from ragdiag.settings import Workspace
from ragdiag.store import segments, spool
from ragdiag.store.spool import SpoolWriter

BAD = Taken((), Counter({"no end time": 3}), [Reject("otlp", 1, "span 7 has no end time", "{}")])


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No segment gets another name because of its age."""
    for module in (segments, spool):
        monkeypatch.setattr(module, "ROTATE_AFTER_S", 600.0)


def reasons(workspace: Workspace) -> list[str]:
    """Of the lines that tell what was refused, in the order in which they were written."""
    files = sorted(workspace.spool.glob("*.*"), key=lambda path: path.stem)
    lines = [json.loads(line) for path in files for line in path.read_bytes().splitlines()]
    return [line["reason"] for line in lines if line["kind"] == "refused"]


def test_a_body_that_meets_a_defect_costs_its_batch_nothing(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    held = threading.Event()

    def hold() -> Taken:
        held.wait(10)
        return Taken([])

    def trip() -> Taken:
        raise ZeroDivisionError

    def give() -> Taken:
        return Taken([Grade("r", "judge", 1)])

    async def commit_together(committer: Committer) -> list[Taken | BaseException]:
        first = asyncio.create_task(committer.commit(hold))
        batch = [asyncio.create_task(committer.commit(one)) for one in (give, trip, give)]
        await asyncio.sleep(0)  # each has put its job into the queue
        held.set()
        await first
        return await asyncio.gather(*batch, return_exceptions=True)

    committer = Committer(SpoolWriter(workspace, "collect"))
    try:
        before, tripped, after = asyncio.run(commit_together(committer))
    finally:
        committer.stop()
    assert isinstance(before, Taken)
    assert isinstance(after, Taken)
    assert isinstance(tripped, Refusal)
    assert (tripped.status, tripped.message) == (
        500,
        "a defect of the receiver (ZeroDivisionError)",
    )
    assert (committer.committed, committer.fault) == (2, None)
    assert "an export could not be read" in caplog.messages


def test_records_are_let_go_once_they_are_written(workspace: Workspace) -> None:
    class Records(list[Grade]):
        """A list that can be watched."""

    held = threading.Event()
    alive: list[weakref.ref[Records]] = []
    seen: list[int] = []

    def hold() -> Taken:
        held.wait(10)
        return Taken([])

    def give() -> Taken:
        seen.append(sum(one() is not None for one in alive))
        records = Records([Grade("r", "judge", 1)])
        alive.append(weakref.ref(records))
        return Taken(records)

    async def commit_together(committer: Committer) -> None:
        first = asyncio.create_task(committer.commit(hold))
        batch = [asyncio.create_task(committer.commit(give)) for _ in range(5)]
        await asyncio.sleep(0)
        held.set()
        await asyncio.gather(first, *batch)

    committer = Committer(SpoolWriter(workspace, "collect"))
    try:
        asyncio.run(commit_together(committer))
    finally:
        committer.stop()
    assert committer.committed == 5
    assert max(seen) <= 1, "of 64 exports of 16 MB nobody could hold all at once"


SUM = "3 were refused within a minute, 1 of them told one by one: no end time (3×)"


def test_what_is_refused_is_on_the_disk_before_the_answer_and_its_sum_at_the_end(
    workspace: Workspace,
) -> None:
    committer = Committer(SpoolWriter(workspace, "collect"))
    try:
        assert asyncio.run(committer.commit(lambda: BAD)) == BAD
        assert reasons(workspace) == ["span 7 has no end time"]
    finally:
        committer.stop()
    assert reasons(workspace) == ["span 7 has no end time", SUM]


def test_the_sum_needs_no_further_request(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "MINUTE_S", 0.05)
    committer = Committer(SpoolWriter(workspace, "collect"))
    try:
        asyncio.run(committer.commit(lambda: BAD))
        deadline = time.monotonic() + 10
        while reasons(workspace)[1:] != [SUM]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        committer.stop()
    assert reasons(workspace)[1:] == [SUM]


def test_what_could_not_be_synced_is_told_when_it_is_sent_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "ONE_BY_ONE", 1)
    writer = SpoolWriter(workspace, "collect")
    committer = Committer(writer)

    def fail() -> None:
        raise StoreError("the disk is gone", remedy="mend it")

    try:
        with monkeypatch.context() as patch:
            patch.setattr(writer, "sync", fail)
            with pytest.raises(Refusal, match="not stored"):
                asyncio.run(committer.commit(lambda: BAD))
        asyncio.run(committer.commit(lambda: BAD))
    finally:
        committer.stop()
    assert reasons(workspace) == ["span 7 has no end time"] * 2 + [SUM]
