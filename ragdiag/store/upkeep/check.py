"""``store check``: everything the store promises, looked at; each finding names its remedy.

Nothing is changed but the table of hashes (of files seen whole for the first time).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ragdiag.errors import StoreError
from ragdiag.progress import Progress
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.locks import try_lock
from ragdiag.store.upkeep.archive import archived_segments
from ragdiag.store.upkeep.aside import SetAside, list_aside
from ragdiag.store.upkeep.catalog_damage import find_catalog_damage
from ragdiag.store.upkeep.cleanup import ORPHAN_GRACE_S, find_orphans
from ragdiag.store.upkeep.damage import REMEDY
from ragdiag.store.upkeep.forgotten import all_forgotten, user_tombstone
from ragdiag.store.upkeep.ledger import (
    TABLES,
    find_duplicates,
    find_gaps,
    find_unknown_segments,
    loaded_segments,
)
from ragdiag.store.upkeep.reloading import RELOADED
from ragdiag.store.upkeep.snapshots import named_snapshots, snapshot_ids
from ragdiag.store.upkeep.soundness import Damage, examine_files
from ragdiag.store.upkeep.unfinished import is_unfinished
from ragdiag.store.upkeep.user_traces import user_keys

WAITING_S = 600
"""A finished segment older than this should have been ingested."""

INGEST = "run: ragdiag ingest"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong (naming the culprit) and what mends it."""

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found and how much was looked at; ``damaged`` are the files to set aside.

    With a damaged catalog that alone is told, and no file is looked at: whatever else was found
    would rest on it. ``snapshot`` is None then.
    """

    findings: tuple[Finding, ...]
    damaged: tuple[Damage, ...]
    files: int
    bytes: int
    snapshot: int | None


def check_store(lake: Lake, workspace: Workspace, progress: Progress | None = None) -> CheckReport:
    """Catalog, data files, ledger, snapshots, spool and archive of an open lake."""
    if broken := find_catalog_damage(workspace):
        told = tuple(Finding(one.message, one.remedy) for one in broken)
        return CheckReport(told, (), 0, 0, None)
    damaged, files = examine_files(lake, progress)
    aside = list_aside(lake)
    gone = {one.name for one in aside}
    damaged = [one for one in damaged if one.file.name not in gone]
    checks: list[Callable[[], Iterable[Finding]]] = [
        lambda: map(_damage, damaged),
        lambda: map(_aside, aside),
        lambda: _orphans(lake),
        lambda: _ledger(lake, aside),
        lambda: _snapshots(lake),
        lambda: _spool(lake, workspace),
        lambda: _forgotten(lake, workspace),
    ]
    findings: list[Finding] = []
    for check in checks:
        try:
            findings.extend(check())
        except StoreError as error:
            if not any(one.file.path in error.message for one in damaged):
                findings.append(Finding(error.message, error.remedy))
    return CheckReport(
        tuple(dict.fromkeys(findings)),
        tuple(damaged),
        len(files),
        sum(file.bytes for file in files),
        lake.snapshot(),
    )


def _damage(one: Damage) -> Finding:
    file = one.file
    holds = f"{file.rows} rows of {file.table}" if file.kind == "data" else "deletions"
    what = f"the data file {file.path} ({holds}) is {one.fault}"
    if file.is_current:
        return Finding(what, f"put it back from a backup, or: {REMEDY}")
    return Finding(
        f"{what}; only snapshots {file.begin}–{(file.end or 0) - 1} need it",
        "put it back from a backup, or let compaction expire them (ragdiag store compact)",
    )


def _aside(one: SetAside) -> Finding:
    what = (
        f"the data file {one.name} is set aside: {one.rows} rows of {one.table} are not served "
        f"({one.reason})"
    )
    if one.reloaded:
        return Finding(
            f"{what}; what the spool archive had of them was loaded again",
            "restore a backup that has the file",
        )
    remedy = "put a whole copy in its place, then run: ragdiag store check --put-back"
    if one.table in RELOADED:
        remedy += (
            f"; or load again what the spool archive has of it: ragdiag store replay, then {INGEST}"
        )
    return Finding(what, remedy)


def _orphans(lake: Lake) -> Iterator[Finding]:
    orphans = find_orphans(lake, ORPHAN_GRACE_S)
    if orphans:
        yield Finding(
            f"{len(orphans)} files belong to nothing, such as {orphans[0]}",
            "run: ragdiag store compact",
        )


def _ledger(lake: Lake, aside: list[SetAside]) -> Iterator[Finding]:
    gaps = lake.read(find_gaps)
    for kind, table in TABLES.items():
        of_kind = [gap for gap in gaps if gap.kind == kind]
        out = sum(one.rows for one in aside if one.table == table)
        short = sum(max(gap.expected - gap.found, 0) for gap in of_kind)
        for gap in of_kind:
            explained = gap.found < gap.expected and short <= out
            if not explained:
                where = f"of segment {gap.segment}" if gap.segment else "of all segments together"
                yield Finding(
                    f"{gap.found} {table} {where} are in the lake, the ledger says {gap.expected}",
                    "restore a backup, or report it: the ledger and the rows commit together",
                )
    for table, key, n in lake.read(find_duplicates):
        yield Finding(
            f"{table} has {key!r} {n} times", "restore a backup, or report it: ids are unique"
        )
    for segment, n in lake.read(find_unknown_segments):
        yield Finding(
            f"{n} requests are of the segment {segment}, which the ledger does not have",
            "restore a backup, or report it: the ledger and the rows commit together",
        )


def _snapshots(lake: Lake) -> Iterator[Finding]:
    there = set(lake.read(snapshot_ids))
    for one in named_snapshots(lake):
        if one.snapshot not in there:
            yield Finding(
                f"snapshot {one.snapshot}, named {one.name!r}, has expired",
                "restore a backup that has it, or run: ragdiag store unname",
            )


def _spool(lake: Lake, workspace: Workspace) -> Iterator[Finding]:
    loaded = lake.read(loaded_segments)
    for path in sorted(workspace.spool.glob("*.jsonl")):
        with suppress(FileNotFoundError):  # an ingester has just archived it
            if path.name in loaded:
                yield Finding(f"the segment {path.name} is loaded and still in the spool", INGEST)
            elif time.time() - path.stat().st_mtime > WAITING_S:
                yield Finding(f"the segment {path.name} waits to be loaded{_torn(path)}", INGEST)
    for path in sorted(workspace.spool.glob("*.open")):
        if _is_abandoned(path):
            yield Finding(f"the writer of the segment {path.name} is dead{_torn(path)}", INGEST)
    for name, path in archived_segments(workspace).items():
        if name not in loaded:
            yield Finding(
                f"the archived segment {path.name} was never loaded into this lake",
                "run: ragdiag store replay, then: ragdiag ingest",
            )


def _forgotten(lake: Lake, workspace: Workspace) -> Iterator[Finding]:
    """Whom a restored backup has brought back, and whose forgetting was interrupted."""
    tombstones = lake.read(lambda cursor: all_forgotten(cursor, workspace))
    keys = user_keys(lake) if tombstones else []
    back = sum(user_tombstone(workspace, key) in tombstones for key in keys)
    if back or is_unfinished(workspace):
        again = f"forgotten users who are in the lake again: {back}"
        told = again if back else "the forgetting of a user was interrupted"
        yield Finding(told, "run: ragdiag privacy forget-again")


def _torn(path: Path) -> str:
    with open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        if not size:
            return ""
        stream.seek(size - 1)
        return "" if stream.read(1) == b"\n" else "; its last line is torn and will be rejected"


def _is_abandoned(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return try_lock(descriptor) and path.exists() and os.fstat(descriptor).st_size > 0
    finally:
        os.close(descriptor)
