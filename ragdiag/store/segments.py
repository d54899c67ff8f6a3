"""Spool segments: files of lines that one writer locks, fills and hands over.

A segment is ``<writer>-<pid>-<seq>.open`` while it is written, ``.jsonl`` once it may be ingested.
``seq`` is its opening time in nanoseconds, so a reused pid never reuses a name. The writer holds
the file's lock; the kernel frees it when the writer dies, and whoever takes it may adopt the file.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

from ragdiag.settings import Workspace
from ragdiag.store.disk import disk_faults, sync
from ragdiag.store.locks import try_lock

ROTATE_AFTER_S = 1.0
ROTATE_BYTES = 4_000_000


class Segment:
    """One open file of a writer, locked by it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.timer: threading.Timer | None = None
        self._descriptor = descriptor
        self._size = 0
        self._named = False
        self._opened = time.monotonic()

    def is_due(self, more: int) -> bool:
        """Whether it is too old, or too full to take ``more`` bytes."""
        full = self._size > 0 and self._size + more > ROTATE_BYTES
        return full or time.monotonic() - self._opened >= ROTATE_AFTER_S

    @property
    def is_deleted(self) -> bool:
        return os.fstat(self._descriptor).st_nlink == 0

    def append(self, line: bytes) -> None:
        """All of ``line`` or, where an OSError is raised, nothing of it."""
        written = 0
        try:
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(line)

    def sync(self) -> None:
        """Make its lines, and once its name, survive a power cut; it stays open."""
        if self.is_deleted:
            raise FileNotFoundError(errno.ENOENT, "it was deleted while it was written")
        os.fsync(self._descriptor)
        if not self._named:
            sync(self.path.parent)
            self._named = True

    def hand_over(self) -> None:
        """Make it durable and ready for ingest, then close it. May be tried again after an error:
        the rename comes last."""
        if self._size:
            os.fsync(self._descriptor)
            sync(self.path.parent)
            self.path.rename(self.path.with_suffix(".jsonl"))
        else:
            self.path.unlink()
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)
        if self.timer is not None:
            self.timer.cancel()


def create_segment(folder: Path, writer: str) -> Segment:
    """A new, locked file. An adopter may grab it between creation and lock: then try again."""
    while True:
        path = folder / f"{writer}-{os.getpid()}-{time.time_ns()}.open"
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND
            descriptor = os.open(path, flags, 0o600)
        except FileExistsError:
            continue
        if try_lock(descriptor) and os.fstat(descriptor).st_nlink:
            return Segment(path, descriptor)
        os.close(descriptor)


def adopt_orphans(workspace: Workspace) -> int:
    """Hand over the open segments of dead writers; returns how many. Live ones are left alone."""
    adopted = 0
    for path in sorted(workspace.spool.glob("*.open")):
        with disk_faults(path):
            try:
                descriptor = os.open(path, os.O_RDWR)
            except FileNotFoundError:  # its writer has just handed it over
                continue
            try:
                adopted += _adopt(path, descriptor)
            finally:
                os.close(descriptor)
    return adopted


def _adopt(path: Path, descriptor: int) -> bool:
    """Hand ``path`` over if its writer is dead and nobody else was quicker."""
    if not try_lock(descriptor):
        return False
    here = os.fstat(descriptor)
    try:
        if path.stat().st_ino != here.st_ino:
            return False
    except FileNotFoundError:
        return False
    if not here.st_size:
        path.unlink()
        return False
    os.fsync(descriptor)
    sync(path.parent)
    path.rename(path.with_suffix(".jsonl"))
    return True
