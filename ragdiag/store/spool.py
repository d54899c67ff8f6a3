"""The spool: services append JSON lines here and never wait for the lake.

A writer owns one open segment, ``<writer>-<pid>-<seq>.open``, and holds its file lock. Every
``write()`` goes to the operating system before it returns, so it survives SIGKILL. After a second
or 4 MB the segment is fsynced and renamed to ``.jsonl``; from then on ``ragdiag ingest`` may load
it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import threading
import weakref
from collections.abc import Iterable
from typing import Self

from ragdiag.errors import InputError, StoreError
from ragdiag.records import Reject
from ragdiag.settings import Workspace
from ragdiag.store.disk import disk_faults
from ragdiag.store.intake.blocks import LONGEST_LINE
from ragdiag.store.kinds import Record, identity, record_to_json, reject_to_json
from ragdiag.store.segments import (
    ROTATE_AFTER_S,
    Segment,
    adopt_orphans,
    create_segment,
)

BLOCK_BYTES = 1_000_000
"""What write_all hands to the operating system at once."""

__all__ = ["SpoolWriter", "adopt_orphans", "record_to_json"]


class SpoolWriter:
    """Appends records to the spool of ``workspace``; safe to share between threads.

    Raises InputError for a record that JSON cannot carry or whose line is longer than ingest
    reads, StoreFull where no space is left (the line is taken back whole) and StoreError where the
    folder cannot be written.
    """

    def __init__(self, workspace: Workspace, writer: str = "ragdiag") -> None:
        if not re.fullmatch(r"[\w.-]+", writer):
            raise InputError(
                f"{writer!r} cannot name a spool writer",
                remedy="use letters, digits, '.', '_', '-'",
            )
        self._folder = workspace.spool
        self._writer = writer
        self._lock = threading.Lock()
        self._segment: Segment | None = None
        self._fault: StoreError | None = None
        _writers.add(self)

    def write(self, record: Record) -> None:
        """On return the line is with the operating system: it outlives this process."""
        line = _encode(record)
        if _is_too_long(line):
            raise _unloggable(record, f"its line is longer than {LONGEST_LINE} bytes")
        with self._lock:
            self._append(line)

    def write_rejects(self, rejects: Iterable[Reject]) -> None:
        """As :func:`write` for what a receiver turned away: ingest puts reason and body of each
        into ``rejects``."""
        lines = [json.dumps(reject_to_json(one)).encode() + b"\n" for one in rejects]
        with self._lock:
            self._append(b"".join(lines))

    def write_all(self, records: Iterable[Record]) -> list[Record]:
        """As :func:`write` for each, in few calls of the operating system; those that were passed
        over because their lines are too long. Where one fails, some of the lines before it may
        have been written."""
        lines: list[bytes] = []
        size = 0
        too_long: list[Record] = []
        with self._lock:
            for record in records:
                line = _encode(record)
                if _is_too_long(line):
                    too_long.append(record)
                    continue
                if size + len(line) > BLOCK_BYTES:
                    self._append(b"".join(lines))
                    lines, size = [], 0
                lines.append(line)
                size += len(line)
            self._append(b"".join(lines))
        return too_long

    def sync(self) -> None:
        """On return everything written so far outlives a power cut; the segment stays open.

        Raises too where an earlier hand-over failed unseen: its lines may not be on the disk.
        """
        with self._lock:
            self._tell_fault()
            if self._segment is not None:
                with disk_faults(self._segment.path):
                    self._segment.sync()

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

    def _append(self, lines: bytes) -> None:
        if not lines:
            return
        self._tell_fault()
        segment = self._segment
        if segment is not None and segment.is_due(len(lines)):
            self._rotate()
            segment = None
        if segment is None:
            segment = self._open()
        with disk_faults(segment.path):
            segment.append(lines)

    def _open(self) -> Segment:
        with disk_faults(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            segment = create_segment(self._folder, self._writer)
        self._arm(segment)
        self._segment = segment
        return segment

    def _arm(self, segment: Segment) -> None:
        """An idle writer's lines must not wait for its next one."""
        segment.timer = threading.Timer(ROTATE_AFTER_S, self._rotate_idle, [segment])
        segment.timer.daemon = True
        segment.timer.start()

    def _rotate(self) -> None:
        segment = self._segment
        if segment is None:
            return
        with disk_faults(segment.path):
            if segment.is_deleted:
                # Told once; the next write begins a new segment.
                segment.close()
                self._segment = None
                raise FileNotFoundError(errno.ENOENT, "it was deleted while it was written")
            segment.hand_over()
        self._segment = None

    def _tell_fault(self) -> None:
        """Raise, once, what an idle hand-over met."""
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def _rotate_idle(self, segment: Segment) -> None:
        with self._lock:
            if self._segment is segment:
                # What fails here (a full disk) is told at the next write or sync, and tried again.
                try:
                    self._rotate()
                except StoreError as error:
                    self._fault = error
                    if self._segment is segment:
                        self._arm(segment)

    def _forget_after_fork(self) -> None:
        """In a forked child: the open segment is the parent's."""
        self._lock = threading.Lock()
        if self._segment is not None:
            self._segment.close()
            self._segment = None


def _encode(record: Record) -> bytes:
    try:
        return json.dumps(record_to_json(record), allow_nan=False).encode() + b"\n"
    except (ValueError, TypeError) as error:
        raise _unloggable(record, str(error)) from None


def _is_too_long(line: bytes) -> bool:
    return len(line) - len(b"\n") > LONGEST_LINE


def _unloggable(record: Record, reason: str) -> InputError:
    kind, key = identity(record)
    return InputError(f"the {kind} {key} cannot be logged ({reason})", remedy="mend that field")


_writers: weakref.WeakSet[SpoolWriter] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for writer in list(_writers):
        writer._forget_after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
