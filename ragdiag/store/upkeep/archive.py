"""The spool archive: loaded segments, compressed, kept for a while as a second copy.

A segment leaves the archive only when the ledger has it and all its requests are in the lake.
"""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import zstandard

from ragdiag.configuration import read_configuration
from ragdiag.privacy.encryption import is_encrypted
from ragdiag.privacy.keys import Keyring, keyring_for, workspace_keys
from ragdiag.progress import Progress, report
from ragdiag.settings import Workspace
from ragdiag.store.disk import disk_faults
from ragdiag.store.lake import Lake
from ragdiag.store.locks import locked
from ragdiag.store.times import now_utc
from ragdiag.store.upkeep.ledger import find_gaps, loaded_segments
from ragdiag.store.upkeep.sealed import CHUNK, copy_in, open_to_read, open_to_write

COMPRESSED = ".zst"
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """Segments and bytes by what became of them; ``kept`` were old enough, not safe to go."""

    compressed: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    removed: int = 0
    kept: tuple[str, ...] = ()


@contextmanager
def archive_turn(workspace: Workspace) -> Iterator[None]:
    """Only one process at a time moves or rewrites segments: else one could bring back what the
    other has just taken out. StoreBusy where another takes too long."""
    with disk_faults(workspace.spool):
        workspace.spool.mkdir(parents=True, exist_ok=True)
    with locked(workspace.spool / "archive.lock", time.monotonic() + PATIENCE_S):
        yield


def put_away(path: Path, seal: Keyring | None = None, keys: Keyring | None = None) -> None:
    """Move a loaded segment into the archive, encrypted under ``seal`` if there is one.

    A foreign writer may use a name again: what the archive has under that name with other content
    was not loaded, so it gets a new name and stays in the spool. Called within archive_turn.
    """
    target = path.parent / "archive" / path.name
    with disk_faults(target), suppress(FileNotFoundError):  # another ingester was quicker
        path.stat()
        target.parent.mkdir(exist_ok=True)
        known = next((p for p in (target, _compressed(target)) if p.exists()), None)
        if known is not None and not _same_content(path, known, keys):
            path.rename(path.with_stem(f"{path.stem}-again-{time.time_ns()}"))
        elif known is not None and (known != target or is_encrypted(known)):
            path.unlink()
        elif seal is not None:
            copy_in(path, target, seal)
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
    with archive_turn(workspace):
        return _compress(workspace, progress)


def _compress(workspace: Workspace, progress: Progress | None) -> ArchiveReport:
    seal = keyring_for(read_configuration(workspace).privacy, "archive")
    keys = workspace_keys(workspace)
    plain = sorted((workspace.spool / "archive").glob("*.jsonl"))
    before = after = 0
    for number, path in enumerate(plain):
        report(progress, number / len(plain), f"compress {path.name}")
        target = _compressed(path)
        with disk_faults(path):
            if not target.exists():
                kept = seal or (keys if is_encrypted(path) else None)
                with open_to_read(path, keys) as source, write_archived(target, kept) as packed:
                    shutil.copyfileobj(source, packed)
            if not _same_content(path, target, keys):
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
    keys = workspace_keys(workspace)
    loaded = lake.read(loaded_segments)
    waiting = [name for name in archived_segments(workspace) if name not in loaded]
    for name in waiting:
        path = archived_segments(workspace)[name]
        if path.suffix == COMPRESSED or is_encrypted(path):
            with (
                open_archived(path, keys) as source,
                open_to_write(workspace.spool / name) as target,
            ):
                shutil.copyfileobj(source, target)
            path.unlink()
        else:
            path.rename(workspace.spool / name)
    return waiting


@contextmanager
def open_archived(path: Path, keys: Keyring | None = None) -> Iterator[BinaryIO]:
    """The lines of a segment, compressed and encrypted or not."""
    with open_to_read(path, keys) as sealed:
        if path.suffix != COMPRESSED:
            yield sealed
            return
        with zstandard.ZstdDecompressor().stream_reader(sealed, read_across_frames=True) as plain:
            yield io.BufferedReader(plain)


@contextmanager
def write_archived(path: Path, seal: Keyring | None) -> Iterator[BinaryIO]:
    """A stream whose content becomes the lines of ``path``, compressed if its name says so."""
    with open_to_write(path, seal) as sealed:
        if path.suffix != COMPRESSED:
            yield sealed
            return
        compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
        with compressor.stream_writer(sealed, closefd=False) as packed:
            yield packed


def _compressed(path: Path) -> Path:
    return path.with_name(path.name + COMPRESSED)


def _same_content(left: Path, right: Path, keys: Keyring | None) -> bool:
    with open_archived(left, keys) as one, open_archived(right, keys) as other:
        while (piece := one.read(CHUNK)) == other.read(CHUNK):
            if not piece:
                return True
    return False
