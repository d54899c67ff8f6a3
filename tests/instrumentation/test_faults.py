"""Real full and read-only disks: the caller never notices, and every loss is counted."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from ragdiag import QueryLogger
from ragdiag.instrumentation.losses import Losses, read_losses
from ragdiag.records import Feedback, Request
from ragdiag.settings import Workspace
from ragdiag.store.lines import parse_line

MakeLogger = Callable[..., QueryLogger]
LONG = "x" * 4_000


def fill(disk: Path) -> Path:
    """Take every byte that is left."""
    path = disk / "filler"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        while True:
            os.write(descriptor, bytes(4_096))
    except OSError:
        return path
    finally:
        os.close(descriptor)


def say(logger: QueryLogger, first: int, last: int) -> list[str]:
    for n in range(first, last):
        with logger.request("q", request_id=f"r{n}") as request:
            request.answer(LONG)
    return [f"r{n}" for n in range(first, last)]


def stored(workspace: Workspace) -> list[str]:
    return [
        record.request_id
        for path in workspace.spool.glob("*.jsonl")
        for line in path.read_bytes().splitlines()
        if isinstance(record := parse_line(line), Request)
    ]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_full_disk_costs_what_exceeds_the_queue_and_no_more(
    small_disk: Path, make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = Workspace(small_disk / "workspace")
    logger = make_logger(workspace=workspace, capacity=20)
    before = say(logger, 0, 10)
    assert logger.flush()
    filler = fill(small_disk)
    during = say(logger, 100, 101)
    wait_until(lambda: logger.stats().waiting == 0)  # in the hands of the thread, not written
    with caplog.at_level(logging.WARNING, logger="ragdiag"):
        during += say(logger, 101, 151)
        assert not logger.flush(timeout_s=0.2)
        assert not logger.flush(timeout_s=0.2)
        wait_until(lambda: bool(caplog.records))
    assert logger.stats().dropped == {"the queue was full": 30}
    (warning,) = caplog.messages
    assert "dropped 30 (the queue was full)" in warning
    filler.unlink()
    assert logger.flush(timeout_s=30)
    after = say(logger, 200, 210)
    assert logger.close()
    assert sorted(stored(workspace)) == sorted(before + during[:21] + after)
    (loss,) = read_losses(workspace)
    assert (loss.writer, loss.requests) == ("service", 30)


def test_a_disk_that_stays_full_is_given_up_at_the_end(
    small_disk: Path, make_logger: MakeLogger
) -> None:
    workspace = Workspace(small_disk / "workspace")
    workspace.spool.mkdir(parents=True)
    logger = make_logger(workspace=workspace)
    filler = fill(small_disk)
    say(logger, 0, 5)
    assert not logger.close(timeout_s=0.1)
    assert logger.stats().dropped == {"the disk refused it until the end": 5}
    filler.unlink()
    later = say(logger, 10, 12)
    assert logger.close()
    assert sorted(stored(workspace)) == later
    assert [loss.requests for loss in read_losses(workspace)] == [5]


def test_a_disk_that_is_read_only_for_a_while_loses_nothing(
    small_disk: Path, make_logger: MakeLogger
) -> None:
    workspace = Workspace(small_disk / "workspace")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    logger = make_logger(workspace=workspace)
    said = say(logger, 0, 5)
    assert not logger.flush(timeout_s=0.1)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert logger.flush(timeout_s=30)
    assert sorted(stored(workspace)) == said
    assert logger.stats().dropped == {}


def test_a_user_key_that_cannot_be_read_costs_the_key_alone(
    workspace: Workspace, logger: QueryLogger, spooled: Callable[[], list[Request | Feedback]]
) -> None:
    workspace.root.mkdir()
    (workspace.root / "secrets").write_text("in the way")
    with logger.request("q", user="ada"):
        pass
    assert logger.flush()
    (logged,) = spooled()
    assert isinstance(logged, Request)
    assert logged.user_key is None
    assert logger.stats().left_out == {"user: the key for its hash cannot be read": 1}


@pytest.mark.parametrize(
    ("user", "has_key", "left_out"),
    [
        ("", False, {}),
        (" ", False, {}),
        (" ada ", True, {}),
        (UUID(int=7), True, {}),
        (np.int64(4711), True, {}),
        (b"ada", False, {"user: an id is a bytes, not text": 1}),
        (7.0, False, {"user: an id is a float, not text": 1}),
        ("x" * 501, False, {"user: an id has 501 characters, 500 are the most": 1}),
    ],
)
def test_a_user_that_names_nobody_costs_no_request(
    logger: QueryLogger,
    spooled: Callable[[], list[Request | Feedback]],
    user: object,
    has_key: bool,
    left_out: dict[str, int],
) -> None:
    with logger.request("q", user=user):
        pass
    assert logger.flush()
    (logged,) = spooled()
    assert isinstance(logged, Request)
    assert (logged.user_key is not None) is has_key
    assert logger.stats().left_out == left_out


def test_warnings_are_rare_and_counts_are_saved(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1_000.0
    losses = Losses(workspace, "web", warn_every_s=60, clock=lambda: now)
    losses.report()
    assert not workspace.losses.exists()
    for _ in range(100):
        losses.count("dropped", "the queue was full")
        losses.report()
        now += 0.5
    assert len(caplog.records) == 1
    now += 60
    losses.report()
    losses.report()
    assert len(caplog.records) == 2
    (saved,) = read_losses(workspace)
    assert saved.counts == {"dropped": {"the queue was full": 100}}


def test_reasons_without_end_share_one_counter(workspace: Workspace) -> None:
    losses = Losses(workspace, "web", warn_every_s=60)
    for n in range(1_000):
        losses.count("refused", f"reason {n}")
    counts = losses.counts()["refused"]
    assert len(counts) == 51
    assert sum(counts.values()) == 1_000


def test_files_that_are_no_counts_are_passed_over(workspace: Workspace) -> None:
    workspace.losses.mkdir(parents=True)
    for name, text in {
        "a": "no json",
        "b": "[]",
        "c": '{"counts": 3}',
        "d": json.dumps({"writer": "w", "until": "u", "counts": {"dropped": {"x": "many"}}}),
        "e": "[" * 100_000,
    }.items():
        (workspace.losses / f"{name}.json").write_text(text)
    assert read_losses(workspace) == []
