"""Whom the workspace has forgotten: keyed hashes that tell who must not come back, and no more.

A forgotten user leaves one hash of the pseudonym and one of each request id, so that neither the
requests nor what hangs on them (feedback, grades, spans) is loaded again from another file, an
archive or a backup. Without the workspace's key the hashes say nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypeAlias

import duckdb

from ragdiag.errors import RagdiagError
from ragdiag.privacy.pseudonyms import keyed_hasher, read_user, user_reader
from ragdiag.records import Feedback, Grade, Request, Span
from ragdiag.settings import Workspace
from ragdiag.store.disk import disk_faults
from ragdiag.store.kinds import Record
from ragdiag.store.tables import insert
from ragdiag.store.times import now_utc
from ragdiag.user_ids import plain_user, users_named

if TYPE_CHECKING:
    from ragdiag.store.lake import Lake

REASON = "its user was forgotten"

Whose = Literal["user", "request"]
"""A tombstone is of a user's pseudonym or of a request's id."""


def user_tombstone(workspace: Workspace, user: str) -> str:
    """Of a pseudonym."""
    return tombstones(workspace)("user", user)


def request_tombstone(workspace: Workspace, request_id: str) -> str:
    return tombstones(workspace)("request", request_id)


def tombstones(workspace: Workspace) -> Callable[[Whose, str], str]:
    """What makes tombstones of many names, with the key as it is now."""
    hashed = keyed_hasher(workspace, "forgotten")
    return lambda kind, name: hashed(f"{kind} {name}")


def read_forgotten(cursor: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Every tombstone of the lake."""
    return frozenset(h for (h,) in cursor.execute("select tombstone from forgotten").fetchall())


def all_forgotten(cursor: duckdb.DuckDBPyConnection, workspace: Workspace) -> frozenset[str]:
    """Every tombstone of the lake and beside it: a restored lake may not have those yet."""
    return read_forgotten(cursor) | kept_tombstones(workspace)


def add_forgotten(cursor: duckdb.DuckDBPyConnection, tombstones: Iterable[str]) -> int:
    """Keep tombstones, within the caller's transaction; returns how many are new."""
    fresh = sorted(set(tombstones) - read_forgotten(cursor))
    now = now_utc()
    insert(cursor, "forgotten", [{"tombstone": one, "forgotten_at": now} for one in fresh])
    return len(fresh)


def kept_tombstones(workspace: Workspace) -> frozenset[str]:
    """Tombstones beside the lake: a restored lake may not have them."""
    path = _file(workspace)
    with disk_faults(path):
        try:
            return frozenset(path.read_text(encoding="ascii", errors="replace").split())
        except FileNotFoundError:
            return frozenset()


def keep_tombstones(workspace: Workspace, tombstones: Iterable[str]) -> None:
    """Add tombstones to those beside the lake; durable on return. Whoever keeps answers in memory
    drops them (:class:`ForgottenUsers`), also where no tombstone is new."""
    fresh = sorted(set(tombstones) - kept_tombstones(workspace))
    path = _file(workspace)
    with disk_faults(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.writelines(f"{one}\n" for one in fresh)
            stream.flush()
            os.fsync(stream.fileno())
        now = time.time_ns()  # finer than the file system's own clock
        os.utime(path, ns=(now, now))


Mark: TypeAlias = tuple[object, ...]
"""Equal to another one as long as nobody was forgotten, or forgotten again, in between."""


class ForgottenUsers:
    """Whom the workspace has forgotten by now, for who keeps answers in memory; safe between
    threads.

    Where the tombstones cannot be read everybody counts as forgotten, and every mark is a new one:
    better nothing is kept.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._path = workspace, _file(workspace)
        self._of_lake: frozenset[str] = frozenset()
        self._read: tuple[Mark, frozenset[str]] = ((), frozenset())
        self._lock = Lock()

    def mark(self) -> Mark:
        """It costs one look at a file's entry: forgetting somebody touches the file."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return (None, len(self._of_lake))
        except OSError:
            return (object(),)
        return (found.st_ino, found.st_size, found.st_mtime_ns, len(self._of_lake))

    def names(self, user: str | None) -> bool:
        """Whether ``user``, a raw id, was forgotten."""
        if user is None or not plain_user(user):
            return False
        try:
            gone = self._all()
            if not gone:  # then no key of pseudonyms is asked for, or made
                return False
            return user_tombstone(self._workspace, read_user(self._workspace, user)) in gone
        except RagdiagError:
            return True

    def follow(self, lake: Lake) -> None:
        """Take up the lake's own tombstones: another machine may have kept them."""
        if lake.rows("select count(*) as n from forgotten")[0]["n"] != len(self._of_lake):
            self._of_lake = lake.read(read_forgotten)

    def _all(self) -> frozenset[str]:
        with self._lock:
            mark = self.mark()  # before the file is read: what comes later makes another one
            if mark != self._read[0]:
                self._read = (mark, kept_tombstones(self._workspace))
            return self._read[1] | self._of_lake


def _file(workspace: Workspace) -> Path:
    return workspace.root / "secrets" / "forgotten"


def find_forgotten(
    workspace: Workspace, forgotten: frozenset[str], records: Sequence[Record]
) -> set[int]:
    """The places in ``records`` of those that must not come back; of a trace in which a span names
    somebody forgotten, every span."""
    if not forgotten:
        return set()
    made, read = tombstones(workspace), user_reader(workspace)
    seen: dict[tuple[Whose, str], bool] = {}

    def is_gone(kind: Whose, name: str) -> bool:
        if (kind, name) not in seen:
            seen[kind, name] = made(kind, name) in forgotten
        return seen[kind, name]

    gone = {
        place
        for place, record in enumerate(records)
        if any(is_gone(kind, name) for kind, name in _names(record, read))
    }
    traces = {one.trace_id for place in gone if isinstance(one := records[place], Span)}
    return gone | {
        place
        for place, record in enumerate(records)
        if isinstance(record, Span) and record.trace_id in traces
    }


def _names(record: Record, read: Callable[[str], str]) -> list[tuple[Whose, str]]:
    """The users and requests that a record belongs to; ``read`` knows a user's pseudonym."""
    match record:
        case Request():
            users = [record.user_key] if record.user_key else []
            return [("request", record.request_id), *(("user", user) for user in users)]
        case Feedback() | Grade():
            return [("request", record.request_id)]
        case Span():
            named = [*users_named(record.attributes), *users_named(record.resource)]
            users = [read(one) for one in named]
            return [("request", record.trace_id), *(("user", user) for user in users)]
        case _:
            return []
