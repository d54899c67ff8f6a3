"""File locks: one holder at a time, and nobody waits for ever."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ragdiag.errors import StoreBusy
from ragdiag.store.locks import is_locked, locked


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    inside = 0

    def enter() -> None:
        nonlocal inside
        for _ in range(20):
            with locked(path, time.monotonic() + 30):
                inside += 1
                assert inside == 1
                inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with locked(path, time.monotonic()), pytest.raises(StoreBusy, match=r"one\.lock"):
        locked(path, time.monotonic() + 0.05).__enter__()


def test_a_child_that_was_forked_meanwhile_does_not_keep_it(tmp_path: Path) -> None:
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from ragdiag.store.locks import locked\n"
        "path = Path(sys.argv[1])\n"
        "said, heard = os.pipe()\n"
        "with locked(path, time.monotonic()):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        os.close(heard)\n"
        "        os.read(said, 1)  # until the parent ends\n"
        "        os._exit(0)\n"
        "with locked(path, time.monotonic() + 1): pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "one.lock")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_who_waits_comes_before_who_has_just_had_it(tmp_path: Path) -> None:
    """A writer that is never done must not starve another."""
    path = tmp_path / "one.lock"
    turns, waiting = 0, threading.Event()
    had_it = threading.Event()

    def greedy() -> None:
        nonlocal turns
        while not had_it.is_set():
            with locked(path, time.monotonic() + 30):
                waiting.set()
                time.sleep(0.02)
                turns += 1

    thread = threading.Thread(target=greedy)
    thread.start()
    waiting.wait()
    begun = turns
    for _ in range(5):
        with locked(path, time.monotonic() + 30):
            pass
    had_it.set()
    thread.join()
    assert turns - begun < 20


def test_looking_at_a_lock_keeps_nobody_off(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    with locked(path, time.monotonic() + 5):
        assert is_locked(path)
    with path.open() as looker:
        fcntl.flock(looker, fcntl.LOCK_SH)
        assert not is_locked(path)
