"""The spool: services append JSON lines here and never wait for the lake.

A writer owns one open segment, ``<writer>-<pid>-<seq>.open``, and holds its file lock. Every
``write()`` goes to the operating system before it returns, so it survives SIGKILL. After a second
or 4 MB the segment is fsynced and renamed to ``.jsonl``; from then on ``ragdiag ingest`` may load
it. The lock of a dead writer is free, and whoever can take it may adopt the segment. ``seq`` is
the segment's opening time in nanoseconds, so a reused pid never reuses a name.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from ragdiag.errors import InputError, StoreError, StoreFull
from ragdiag.records import ContextHit, Feedback, Hit, Request
from ragdiag.settings import Workspace
from ragdiag.store.locks import try_lock

SCHEMA = 1
"""Of the lines; a reader refuses lines of a later one."""

ROTATE_AFTER_S = 1.0
ROTATE_BYTES = 4_000_000


class SpoolWriter:
    """Appends records to the spool of ``workspace``; safe to share between threads.

    Raises InputError for a record that JSON cannot carry, StoreFull where no space is left (the
    line is taken back whole) and StoreError where the folder cannot be written.
    """

    def __init__(self, workspace: Workspace, writer: str = "ragdiag") -> None:
        if not writer or any(mark in writer for mark in "/\0"):
            raise InputError(f"{writer!r} cannot name a spool writer", remedy="use letters")
        self._folder = workspace.spool
        self._writer = writer
        self._lock = threading.Lock()
        self._segment: _Segment | None = None
        _writers.add(self)

    def write(self, record: Request | Feedback) -> None:
        line = _encode(record)
        with self._lock:
            if self._segment is None:
                self._open()
            segment = self._segment
            assert segment is not None
            with _disk_faults(segment.path):
                segment.append(line)
            if segment.size >= ROTATE_BYTES or segment.age_s >= ROTATE_AFTER_S:
                self._rotate()

    def flush(self) -> None:
        """Hand over what was written so far: fsynced, and ready to be ingested on return."""
        with self._lock:
            self._rotate()

    def close(self) -> None:
        """Hand over the rest. Writing again opens a new segment."""
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        with _disk_faults(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            segment = _create_segment(self._folder, self._writer)
        self._segment = segment
        # An idle writer's lines must not wait for its next one.
        timer = threading.Timer(ROTATE_AFTER_S, self._rotate_idle, [segment])
        timer.daemon = True
        timer.start()
        segment.timer = timer

    def _rotate(self) -> None:
        if self._segment is not None:
            with _disk_faults(self._segment.path):
                self._segment.hand_over()
            self._segment = None

    def _rotate_idle(self, segment: _Segment) -> None:
        with self._lock:
            if self._segment is segment:
                # What fails here (a full disk) fails again, and is told, at the next write.
                with suppress(StoreError):
                    self._rotate()

    def _forget_after_fork(self) -> None:
        """In a forked child: the open segment is the parent's."""
        self._lock = threading.Lock()
        if self._segment is not None:
            os.close(self._segment.descriptor)
            self._segment = None


class _Segment:
    """One open file of a writer, locked by it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.size = 0
        self.timer: threading.Timer | None = None
        self._opened = time.monotonic()

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._opened

    def append(self, line: bytes) -> None:
        written = 0
        try:
            while written < len(line):
                written += os.write(self.descriptor, line[written:])
        except OSError:
            os.ftruncate(self.descriptor, self.size)
            raise
        self.size += len(line)

    def hand_over(self) -> None:
        if self.size:
            os.fsync(self.descriptor)
            self.path.rename(self.path.with_suffix(".jsonl"))
            _sync_folder(self.path.parent)
        else:
            self.path.unlink(missing_ok=True)
        os.close(self.descriptor)
        if self.timer is not None:
            self.timer.cancel()


def adopt_orphans(workspace: Workspace) -> int:
    """Hand over the open segments of dead writers; returns how many. Live ones are left alone."""
    adopted = 0
    for path in sorted(workspace.spool.glob("*.open")):
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:  # its writer has just handed it over
            continue
        try:
            with _disk_faults(path):
                adopted += _adopt(path, descriptor)
        finally:
            os.close(descriptor)
    return adopted


def record_to_json(record: Request | Feedback) -> dict[str, Any]:
    """What a line says: ``kind``, ``schema`` and the record's own fields.

    Times are ISO 8601 with their offset, hits are objects, an absent list is null.
    """
    kind = "request" if isinstance(record, Request) else "feedback"
    fields = {name: _plain(getattr(record, name)) for name in type(record).__dataclass_fields__}
    return {"kind": kind, "schema": SCHEMA, **fields}


def _plain(value: Any) -> Any:
    match value:
        case ContextHit():
            return {"passage_id": value.passage_id, "score": value.score, "chars": value.chars}
        case Hit():
            return {"passage_id": value.passage_id, "score": value.score}
        case tuple() | list():
            return [_plain(item) for item in value]
        case datetime():
            if value.tzinfo is None:
                raise ValueError(f"the time {value} has no zone")
            return value.astimezone(UTC).isoformat()
        case str() | int() | float() | None:
            return value
        case _:
            return dict(value)


def _encode(record: Request | Feedback) -> bytes:
    try:
        return json.dumps(record_to_json(record), allow_nan=False).encode() + b"\n"
    except (ValueError, TypeError) as error:
        name = record.request_id
        raise InputError(
            f"request {name} cannot be logged ({error})", remedy="mend that field"
        ) from None


def _create_segment(folder: Path, writer: str) -> _Segment:
    """A new, locked file. An adopter may grab it between creation and lock: then try again."""
    while True:
        path = folder / f"{writer}-{os.getpid()}-{time.time_ns()}.open"
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND
            descriptor = os.open(path, flags, 0o600)
        except FileExistsError:
            continue
        if try_lock(descriptor) and os.fstat(descriptor).st_nlink:
            return _Segment(path, descriptor)
        os.close(descriptor)


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
    path.rename(path.with_suffix(".jsonl"))
    _sync_folder(path.parent)
    return True


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _disk_faults:  # noqa: N801 - reads as a statement
    """Turn the operating system's refusals into the store's errors, naming ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> Literal[False]:
        if isinstance(error, OSError):
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreFull(
                    f"no space left to write {self._path}",
                    remedy="free some space and write this record again",
                ) from error
            raise StoreError(
                f"cannot write {self._path} ({error.strerror})",
                remedy="check that the folder is there and may be written",
            ) from error
        return False


_writers: weakref.WeakSet[SpoolWriter] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for writer in list(_writers):
        writer._forget_after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
