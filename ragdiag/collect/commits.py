"""Group commit: whatever waits is decoded, written and made durable with one fsync, then answered.

One thread does all of it, so that the event loop only moves bytes. While the disk syncs, requests
gather; under load an fsync is shared by many, without load nobody waits for a window to close.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ragdiag.collect.tally import Tally, list_reasons
from ragdiag.collect.telling import Telling
from ragdiag.errors import RagdiagError, StoreError, StoreFull, TooMuch
from ragdiag.http.refusals import Refusal
from ragdiag.records import Reject, Span
from ragdiag.spans.building import excerpt
from ragdiag.store.intake.blocks import LONGEST_LINE
from ragdiag.store.kinds import Record
from ragdiag.store.spool import SpoolWriter

MAX_BATCH = 64
"""Requests that share one fsync at most: the first must not wait for ever."""
TOO_LONG = f"longer than {LONGEST_LINE} bytes as a line of JSON"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a request held: records for the spool, how many parts were refused for which reason,
    the first of them one by one, and what was odd about parts that were taken. ``unread`` are in
    order, and nothing here reads them."""

    records: Sequence[Record]
    refused: Counter[str] = field(default_factory=Counter)
    rejects: Sequence[Reject] = ()
    remarks: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)

    @property
    def not_kept(self) -> Counter[str]:
        """All that is refused in OTLP's sense, by reason."""
        return self.refused + self.unread

    @property
    def told(self) -> str:
        """What its sender should know; empty where all is well."""
        parts = [list_reasons(self.not_kept), list_reasons(self.remarks)]
        first = self.rejects[0].reason if self.rejects else ""
        if first and first not in self.refused:
            parts.append(f"the first: {first}")
        return "; ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class _Job:
    decode: Callable[[], Taken]
    future: asyncio.Future[Taken]
    loop: asyncio.AbstractEventLoop

    def answer(self, outcome: Taken | Exception) -> None:
        self.loop.call_soon_threadsafe(self._settle, outcome)

    def _settle(self, outcome: Taken | Exception) -> None:
        if self.future.done():  # its client has gone
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


class Committer:
    """Owns the spool's writer. ``fault`` is why the last batch could not be written, or None."""

    def __init__(self, writer: SpoolWriter) -> None:
        self.fault: str | None = None
        self.committed = 0
        self.tally = Tally()
        self._telling = Telling()
        self._writer = writer
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="commit")
        self._thread.start()

    async def commit(self, decode: Callable[[], Taken]) -> Taken:
        """Returns when every record that ``decode`` gives is on the disk, and what the lake is told
        of those refused; records whose lines ingest would not read are refused too. The answer has
        no records any more.

        ``decode`` runs in the committing thread. Raises what it raises, and Refusal (503) where
        the disk does not take the records.
        """
        loop = asyncio.get_running_loop()
        job = _Job(decode, loop.create_future(), loop)
        self._jobs.put(job)
        return await job.future

    def stop(self) -> None:
        """Finish what waits, hand the last segment over, and end."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        running = True
        while running:
            jobs, running = self._next_batch()
            self._commit(jobs)
        self.tally.tell()
        try:
            self._writer.write_rejects(self._telling.sum_up())
            self._writer.close()
        except StoreError as error:
            # Everything acknowledged has been synced; only the hand-over is left to an adopter.
            _log.warning("the last segment could not be handed over: %s", error)

    def _next_batch(self) -> tuple[list[_Job], bool]:
        """What waits, and whether more may come; nothing where a line is due all the same."""
        jobs: list[_Job] = []
        try:
            job = self._jobs.get(timeout=self._telling.wait_s)
        except queue.Empty:
            return jobs, True
        while job is not None:
            jobs.append(job)
            if len(jobs) >= MAX_BATCH:
                return jobs, True
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return jobs, True
        return jobs, False

    def _commit(self, jobs: Sequence[_Job]) -> None:
        written: list[tuple[_Job, Taken]] = []
        stored = 0
        try:
            for job in jobs:
                if (taken := _decoded(job)) is not None:
                    too_long = self._writer.write_all(taken.records)
                    stored += len(taken.records) - len(too_long)
                    written.append((job, _without_records(taken, too_long)))
            rejects, telling = self._tell_of([taken for _, taken in written])
            if written or rejects:
                self._writer.write_rejects(rejects)
                self._writer.sync()
        except RagdiagError as error:
            self._refuse(jobs, error)
            return
        except Exception as error:  # a defect: told to the client, and the thread lives on
            _log.exception("a batch could not be committed")
            for job in jobs:
                job.answer(_defect(error))
            return
        if written or rejects:
            self.fault = None
        self._telling = telling
        self.committed += stored
        for job, taken in written:
            self.tally.note(taken.not_kept, taken.remarks)
            job.answer(taken)

    def _tell_of(self, written: Sequence[Taken]) -> tuple[list[Reject], Telling]:
        refused = sum((taken.refused for taken in written), Counter[str]())
        rejects = [one for taken in written for one in taken.rejects]
        return self._telling.take(refused, rejects, time.monotonic())

    def _refuse(self, jobs: Sequence[_Job], error: RagdiagError) -> None:
        self.fault = str(error)
        _log.error("not written: %s", error)
        wait = 30 if isinstance(error, StoreFull) else 5
        for job in jobs:
            job.answer(Refusal(503, f"not stored: {error.message}", retry_after=wait))


def _decoded(job: _Job) -> Taken | None:
    """What the request holds; None where it was refused, and its client told."""
    try:
        return job.decode()
    except Refusal as refusal:
        job.answer(refusal)
    except TooMuch as error:
        job.answer(Refusal(413, str(error)))
    except RagdiagError as error:
        job.answer(Refusal(400, str(error)))
    except Exception as error:  # a defect that this body met: the others of its batch are stored
        _log.exception("an export could not be read")
        job.answer(_defect(error))
    return None


def _defect(error: Exception) -> Refusal:
    return Refusal(500, f"a defect of the receiver ({type(error).__name__})")


def _without_records(taken: Taken, too_long: Sequence[Record]) -> Taken:
    """What is to be said of ``taken`` once it is written, but for these records, whose lines are
    too long. The records are let go: a batch is many exports, of which gzip may have sent a
    thousandth."""
    told = [
        Reject("otlp", 0, TOO_LONG, excerpt(one.trace_id, one.span_id, one.name))
        for one in too_long
        if isinstance(one, Span)
    ]
    return replace(
        taken,
        records=(),
        refused=taken.refused + Counter({TOO_LONG: len(too_long)}),
        rejects=[*taken.rejects, *told],
    )
