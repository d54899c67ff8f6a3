"""File locks between processes (and threads): held by an open file, freed when it closes.

The kernel frees the lock of a killed process, so no lock is ever stale. Whoever waits does so in
front of a second lock, the gate, so that one who gives the first back and wants it again at once
comes after those who wait already.
"""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ragdiag.errors import StoreBusy
from ragdiag.store.disk import disk_faults


def try_lock(descriptor: int) -> bool:
    """Take the exclusive lock of an open file now, or say that somebody else has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether somebody holds the exclusive lock of ``path``. Looking keeps no other looker off, and
    whoever wants the lock by :func:`locked` waits no longer than the look takes."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def locked(path: Path, deadline: float) -> Iterator[None]:
    """Hold the exclusive lock of ``path``; StoreBusy past ``deadline`` (of time.monotonic)."""
    with ExitStack() as held:
        with _exclusive(path.with_name(f"{path.name}.gate"), path, deadline):
            held.enter_context(_exclusive(path, path, deadline))
        yield


@contextmanager
def _exclusive(file: Path, path: Path, deadline: float) -> Iterator[None]:
    with disk_faults(file):
        descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        while not try_lock(descriptor):
            if time.monotonic() > deadline:
                raise StoreBusy(
                    f"another writer has held {path} for too long",
                    remedy="nothing was written: try again when it has finished",
                )
            time.sleep(random.uniform(0.001, 0.01))
        yield
    finally:
        # Said before it is closed: a child that was forked meanwhile has the file open as well.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
