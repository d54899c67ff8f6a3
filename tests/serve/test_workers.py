"""So many at once, so many in line, and each piece of work told to one side only."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from ragdiag.http.refusals import Refusal
from ragdiag.serve.workers import Ticket, Workers


def test_work_is_done_and_what_it_raises_is_raised() -> None:
    async def run() -> None:
        workers = Workers(2, 0)
        assert await workers.submit(lambda _: "done", 5).result() == "done"

        def fails(ticket: Ticket[str]) -> str:
            raise Refusal(400, "no")

        with pytest.raises(Refusal, match="no"):
            await workers.submit(fails, 5).result()
        workers.close(5)

    asyncio.run(run())


def test_a_place_is_free_only_when_its_work_is_done() -> None:
    async def run() -> None:
        workers, release = Workers(1, 1), threading.Event()
        begun: list[str] = []

        def hang(ticket: Ticket[bool]) -> bool:
            begun.append("hang")
            return release.wait(30)

        hanging = workers.submit(hang, 0.1)
        waiting = workers.submit(lambda _: begun.append("late"), 0.1)
        with pytest.raises(Refusal) as caught:
            workers.submit(hang, 5)
        assert caught.value.status == 503
        assert caught.value.retry_after is not None
        for ticket in (hanging, waiting):
            with pytest.raises(TimeoutError):
                await ticket.result()
        with pytest.raises(Refusal):
            workers.submit(hang, 5)
        assert (workers.busy, workers.waiting) == (1, 1)
        release.set()
        while workers.busy:
            await asyncio.sleep(0.01)
        assert begun == ["hang"], "what was late before it began must not begin"
        assert await workers.submit(lambda _: "again", 5).result() == "again"
        workers.close(5)

    asyncio.run(run())


def test_a_ticket_is_taken_once() -> None:
    async def run() -> None:
        workers = Workers(1, 0)
        taken: list[bool] = []

        def at_the_last_moment(ticket: Ticket[str]) -> str:
            taken.append(ticket.take())
            time.sleep(0.2)  # beyond the deadline, but taken by then
            return "in time"

        assert await workers.submit(at_the_last_moment, 0.1).result() == "in time"

        def too_late(ticket: Ticket[str]) -> str:
            time.sleep(0.2)
            taken.append(ticket.take())
            return "nobody hears this"

        with pytest.raises(TimeoutError):
            await workers.submit(too_late, 0.05).result()
        workers.close(5)
        assert taken == [True, False]

    asyncio.run(run())


def test_work_that_hangs_does_not_keep_the_service_from_ending() -> None:
    async def run() -> None:
        workers, release = Workers(1, 0), threading.Event()
        workers.submit(lambda _: release.wait(30), 60)
        started = time.monotonic()
        workers.close(0.1)
        assert time.monotonic() - started < 5
        release.set()

    asyncio.run(run())
