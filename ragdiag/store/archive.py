"""The spool archive: loaded segments, compressed, kept for a while as a second copy.

A segment leaves the archive only when the ledger has it and all its requests are in the lake.
"""

from __future__ import annotations

import filecmp
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import zstandard

from ragdiag.progress import Progress, report
from ragdiag.settings import Workspace
from ragdiag.store.disk import disk_faults
from ragdiag.store.lake import Lake
from ragdiag.store.ledger import find_gaps, loaded_segments
from ragdiag.store.sealed import CHUNK, open_to_read, open_to_write
from ragdiag.store.times import now_utc

COMPRESSED = ".zst"


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """Segments and bytes by what became of them; ``kept`` were old enough, not safe to go."""

    compressed: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    removed: int = 0
    kept: tuple[str, ...] = ()


def put_away(path: Path) -> None:
    """Move a loaded segment into the archive. A foreign writer may use a name again: what the
    archive has under that name with other content was not loaded, so it gets a new name and stays
    in the spool."""
    target = path.parent / "archive" / path.name
    with disk_faults(target), suppress(FileNotFoundError):  # another ingester was quicker
        target.parent.mkdir(exist_ok=True)
        known = next((p for p in (target, _compressed(target)) if p.exists()), None)
        if known is not None and not _same_content(path, known):
            path.rename(path.with_stem(f"{path.stem}-again-{time.time_ns()}"))
        elif known is not None and known != target:
            path.unlink()
        else:
            path.rename(target)


def archived_segments(workspace: Workspace) -> dict[str, Path]:
    """Segment → its file in the archive."""
    folder = workspace.spool / "archive"
    found = {path.name: path for path in sorted(folder.glob("*.jsonl"))}
    packed = {path.name.removesuffix(COMPRESSED): path for path in folder.glob("*.jsonl.zst")}
    return {**packed, **found}


def compress_archive(workspace: Workspace, progress: Progress | None = None) -> ArchiveReport:
    """Compress what is not compressed yet; a plain file goes once its copy reads back equal."""
    plain = sorted((workspace.spool / "archive").glob("*.jsonl"))
    before = after = 0
    for number, path in enumerate(plain):
        report(progress, number / len(plain), f"compress {path.name}")
        target = _compressed(path)
        with disk_faults(path):
            if not target.exists():
                with open(path, "rb") as source, open_to_write(target) as sealed:
                    compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
                    compressor.copy_stream(source, sealed, size=path.stat().st_size)
            if not _same_content(path, target):
                continue
            before += path.stat().st_size
            after += target.stat().st_size
            path.unlink()
    return ArchiveReport(len(plain), before, after)


def expire_archive(lake: Lake, workspace: Workspace, days: int) -> ArchiveReport:
    """Remove archived segments that were loaded more than ``days`` days ago.

    Kept whatever their age: segments that the ledger does not have (a restored older lake), and
    segments of which the lake lacks a request.
    """
    loaded = lake.read(loaded_segments)
    unsafe = {gap.segment for gap in lake.read(find_gaps)}
    cutoff = now_utc() - timedelta(days=days)
    removed, kept = 0, []
    for segment, path in archived_segments(workspace).items():
        if segment not in loaded or (loaded[segment] < cutoff and segment in unsafe):
            kept.append(segment)
        elif loaded[segment] < cutoff:
            with disk_faults(path):
                path.unlink(missing_ok=True)
            removed += 1
    return ArchiveReport(removed=removed, kept=tuple(kept))


def return_unloaded(lake: Lake, workspace: Workspace) -> list[str]:
    """Put archived segments that the ledger lacks back into the spool, for the next ingest; so an
    older lake, restored, gets back what came after it. Returns their names."""
    loaded = lake.read(loaded_segments)
    waiting = [name for name in archived_segments(workspace) if name not in loaded]
    for name in waiting:
        path = archived_segments(workspace)[name]
        if path.suffix == COMPRESSED:
            with open_archived(path) as source, open_to_write(workspace.spool / name) as target:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
            path.unlink()
        else:
            path.rename(workspace.spool / name)
    return waiting


@contextmanager
def open_archived(path: Path) -> Iterator[BinaryIO]:
    """The lines of an archived segment, compressed or not."""
    with open_to_read(path) as sealed:
        if path.suffix != COMPRESSED:
            yield sealed
            return
        with zstandard.ZstdDecompressor().stream_reader(sealed, read_across_frames=True) as plain:
            yield plain


def _compressed(path: Path) -> Path:
    return path.with_name(path.name + COMPRESSED)


def _same_content(plain: Path, archived: Path) -> bool:
    if archived.suffix != COMPRESSED:
        return filecmp.cmp(plain, archived, shallow=False)
    with open(plain, "rb") as left, open_archived(archived) as right:
        while True:
            a = left.read(CHUNK)
            b = b""
            while len(b) < len(a) and (more := right.read(len(a) - len(b))):
                b += more
            if a != b:
                return False
            if not a:
                return not right.read(1)
