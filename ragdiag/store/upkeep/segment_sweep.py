"""Lines of forgotten users, taken out of the spool and its archive."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from ragdiag.privacy.keys import workspace_keys
from ragdiag.records import Feedback, Grade, Request, Span
from ragdiag.settings import Workspace
from ragdiag.store.intake.segment_lines import exchange_lines, read_lines
from ragdiag.store.kinds import Record
from ragdiag.store.lines import BadLine, parse_line
from ragdiag.store.upkeep.archive import COMPRESSED, archive_turn, open_archived
from ragdiag.store.upkeep.forgotten import find_forgotten
from ragdiag.store.upkeep.user_traces import UserTraces

IsGone: TypeAlias = Callable[[bytes], bool]
"""Whether a line goes."""


@dataclass(frozen=True, slots=True)
class Swept:
    """Lines by place. ``live`` counts those in files that a service is still writing: ingest
    turns them away when they come."""

    spool: int = 0
    archive: int = 0
    live: int = 0


def find_in_segments(workspace: Workspace, tombstones: frozenset[str]) -> UserTraces:
    """The ids of requests and traces of which a line, be it archived, waiting or being written,
    belongs to a forgotten user or request: the other lines of these ids need not say so."""
    requests, traces = set[str](), set[str]()
    spool = workspace.spool
    with archive_turn(workspace):
        for path in [*_segments(spool), *spool.glob("*.open"), *_segments(spool / "archive")]:
            for record in _records(workspace, path):
                if find_forgotten(workspace, tombstones, [record]):
                    match record:
                        case Span():
                            traces.add(record.trace_id)
                        case Request() | Feedback() | Grade():
                            requests.add(record.request_id)
    return UserTraces((), request_ids=tuple(requests), trace_ids=tuple(traces))


def sweep_segments(
    workspace: Workspace,
    tombstones: frozenset[str],
    names: Collection[str],
    *,
    of_users: frozenset[str] = frozenset(),
    taken: Collection[str] = (),
    dry_run: bool = False,
) -> Swept:
    """Empty every line of a forgotten user or request. A line that is no record goes where it
    contains one of ``names`` (pseudonyms and request ids).

    Where a line goes because of its user alone, nothing tells any more whose the other lines of
    its trace are: give the tombstones of requests (:func:`find_in_segments` finds them) to remove
    lines, those of users as well to search. Of the ids in ``taken`` the lake has somebody else's
    request: of their lines only requests of users with a tombstone in ``of_users`` go.
    """
    needles = [name.encode() for name in names]
    is_gone = partial(_is_gone, workspace, tombstones, needles, of_users, frozenset(taken))
    with archive_turn(workspace):
        # The spool first: what an ingester moves meanwhile is then found in the archive.
        spool = _sweep(workspace, workspace.spool, is_gone, dry_run)
        archive = _sweep(workspace, workspace.spool / "archive", is_gone, dry_run)
    live = sum(len(_gone(workspace, path, is_gone)) for path in workspace.spool.glob("*.open"))
    return Swept(spool, archive, live)


def _sweep(workspace: Workspace, folder: Path, is_gone: IsGone, dry_run: bool) -> int:
    swept = 0
    for path in _segments(folder):
        gone = _gone(workspace, path, is_gone)
        swept += len(gone)
        if not dry_run:
            exchange_lines(path, gone, workspace_keys(workspace))
    return swept


def _segments(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.jsonl"), *folder.glob(f"*.jsonl{COMPRESSED}")])


def _records(workspace: Workspace, path: Path) -> Iterator[Record]:
    if not path.exists():
        return
    with open_archived(path, workspace_keys(workspace)) as lines:
        for _, line in read_lines(lines):
            with suppress(BadLine):
                yield parse_line(line)


def _gone(workspace: Workspace, path: Path, is_gone: IsGone) -> Mapping[int, bytes]:
    if not path.exists():
        return {}
    with open_archived(path, workspace_keys(workspace)) as lines:
        return {number: b"" for number, line in read_lines(lines) if line.strip() and is_gone(line)}


def _is_gone(
    workspace: Workspace,
    tombstones: frozenset[str],
    needles: Collection[bytes],
    of_users: frozenset[str],
    taken: frozenset[str],
    line: bytes,
) -> bool:
    try:
        record = parse_line(line)
    except BadLine:
        return any(needle in line for needle in needles)
    if isinstance(record, Request) and record.request_id in taken:
        tombstones |= of_users
    return bool(find_forgotten(workspace, tombstones, [record]))
