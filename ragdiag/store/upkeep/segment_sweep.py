"""Lines of forgotten users, taken out of the spool and its archive."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ragdiag.privacy.keys import workspace_keys
from ragdiag.settings import Workspace
from ragdiag.store.intake.segment_lines import exchange_lines, read_lines
from ragdiag.store.lines import BadLine, parse_line
from ragdiag.store.upkeep.archive import COMPRESSED, archive_turn, open_archived
from ragdiag.store.upkeep.forgotten import find_forgotten


@dataclass(frozen=True, slots=True)
class Swept:
    """Lines by place. ``live`` counts those in files that a service is still writing: ingest
    turns them away when they come."""

    spool: int = 0
    archive: int = 0
    live: int = 0


def sweep_segments(
    workspace: Workspace,
    tombstones: frozenset[str],
    names: Collection[str],
    *,
    dry_run: bool = False,
) -> Swept:
    """Empty every line of a forgotten user or request. A line that is no record goes where it
    contains one of ``names`` (pseudonyms and request ids)."""
    needles = [name.encode() for name in names]
    with archive_turn(workspace):
        # The spool first: what an ingester moves meanwhile is then found in the archive.
        spool = _sweep(workspace, workspace.spool, tombstones, needles, dry_run)
        archive = _sweep(workspace, workspace.spool / "archive", tombstones, needles, dry_run)
    live = sum(
        len(_gone(workspace, path, tombstones, needles)) for path in workspace.spool.glob("*.open")
    )
    return Swept(spool, archive, live)


def _sweep(
    workspace: Workspace,
    folder: Path,
    tombstones: frozenset[str],
    needles: Collection[bytes],
    dry_run: bool,
) -> int:
    swept = 0
    for path in sorted([*folder.glob("*.jsonl"), *folder.glob(f"*.jsonl{COMPRESSED}")]):
        gone = _gone(workspace, path, tombstones, needles)
        swept += len(gone)
        if not dry_run:
            exchange_lines(path, gone, workspace_keys(workspace))
    return swept


def _gone(
    workspace: Workspace, path: Path, tombstones: frozenset[str], needles: Collection[bytes]
) -> Mapping[int, bytes]:
    if not path.exists():
        return {}
    with open_archived(path, workspace_keys(workspace)) as lines:
        return {
            number: b""
            for number, line in read_lines(lines)
            if line.strip() and _is_gone(workspace, line, tombstones, needles)
        }


def _is_gone(
    workspace: Workspace, line: bytes, tombstones: frozenset[str], needles: Collection[bytes]
) -> bool:
    try:
        record = parse_line(line)
    except BadLine:
        return any(needle in line for needle in needles)
    return bool(find_forgotten(workspace, tombstones, [record]))
