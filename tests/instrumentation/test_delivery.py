"""The background thread: starts and ends at any moment, survives defects, never holds a caller."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from ragdiag import QueryLogger
from ragdiag.instrumentation.delivery import Delivery, Work
from ragdiag.records import Feedback, Request


@dataclass
class Disk:
    """What the thread writes to; can be made to hang, which no real disk does on demand."""

    written: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    answers: threading.Event = field(default_factory=threading.Event)
    hangs: threading.Event = field(default_factory=threading.Event)

    def prepare(self, item: str) -> list[str]:
        if item == "defect":
            raise KeyError(item)
        return [item]

    def write(self, record: str) -> None:
        if record == "hang":
            self.hangs.set()
            self.answers.wait()
        self.written.append(record)

    def hand_over(self) -> None:
        if "no hand-over" in self.written:
            self.written.remove("no hand-over")
            raise ZeroDivisionError

    def work(self) -> Work[str, str]:
        return Work(
            prepare=self.prepare,
            write=self.write,
            hand_over=self.hand_over,
            refuse=lambda error: self.counts.update([type(error).__name__]),
            drop=lambda reason, number: self.counts.update({reason: number}),
            tick=lambda: None,
            started=lambda: self.counts.update(["started"]),
        )


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.answers.set()


@pytest.fixture
def delivery(disk: Disk) -> Iterator[Delivery[str, str]]:
    delivery = Delivery("test", 10, disk.work())
    yield delivery
    disk.answers.set()
    assert delivery.close(10)


def test_nothing_said_starts_no_thread(disk: Disk, delivery: Delivery[str, str]) -> None:
    assert delivery.flush(0)
    assert delivery.close(0)
    assert disk.counts == {}


def test_closing_and_starting_again_loses_nothing(
    logger: QueryLogger, spooled: Callable[[], list[Request | Feedback]]
) -> None:
    def say(thread: int) -> None:
        for n in range(500):
            logger.request("q", request_id=f"{thread}-{n}").finish()

    threads = [threading.Thread(target=say, args=[thread]) for thread in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert logger.close(timeout_s=30)
    assert logger.flush(timeout_s=30)
    ids = [record.request_id for record in spooled()]
    assert len(ids) == len(set(ids)) == 2_000


def test_a_disk_that_hangs_holds_nobody(disk: Disk, delivery: Delivery[str, str]) -> None:
    assert delivery.offer("hang")
    assert disk.hangs.wait(10)
    offered = [delivery.offer(f"r{n}") for n in range(12)]
    assert offered == [True] * 10 + [False] * 2
    assert not delivery.flush(0.01)
    assert not delivery.close(0.01)
    assert disk.counts["the disk did not answer until the end"] == 10
    assert delivery.offer("later")
    assert delivery.flush(10)
    assert disk.written == ["later"]
    assert disk.counts["started"] == 2


def test_defects_are_told_and_end_nothing(
    disk: Disk, delivery: Delivery[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    for item in ("defect", "good", "no hand-over"):
        delivery.offer(item)
    assert not delivery.flush(0.3)
    assert delivery.flush(10)
    assert disk.written == ["good"]
    assert disk.counts["KeyError"] == 1
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "could not be logged" in told.message


def test_without_a_thread_to_be_had_the_next_offer_tries_again(
    disk: Disk, delivery: Delivery[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert delivery.offer("first")
        assert delivery.waiting == 1
    assert delivery.offer("second")
    assert delivery.flush(10)
    assert disk.written == ["first", "second"]
