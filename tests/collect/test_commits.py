"""What shares an fsync shares nothing else."""

from __future__ import annotations

import asyncio
import threading

import pytest

from ragdiag.collect.commits import Committer, Taken
from ragdiag.http.refusals import Refusal
from ragdiag.records import Grade
from ragdiag.settings import Workspace
from ragdiag.store.spool import SpoolWriter


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
