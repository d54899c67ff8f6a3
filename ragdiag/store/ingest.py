"""Loading finished spool segments into the lake, each exactly once, whoever loads it.

Rows, rejects and the ledger entry of a segment commit together; a segment whose name is in the
ledger is never loaded again. Once its rows are on the disk it moves to ``spool/archive``. Dying
before that only leaves a loaded segment behind, which the next run moves.

What ``[privacy]`` keeps out is taken out before a record is compared, stored or rejected, and the
archive keeps the lines as they were loaded, not as they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ragdiag.configuration import read_configuration
from ragdiag.privacy.keys import keyring_for, workspace_keys
from ragdiag.privacy.screening import Screen, open_screen
from ragdiag.settings import Workspace
from ragdiag.store.intake.blocks import read_blocks
from ragdiag.store.intake.loading import IngestReport, load_blocks
from ragdiag.store.intake.parsing import Parsed, parse_block
from ragdiag.store.intake.screened_blocks import forgotten_lines, screen_block
from ragdiag.store.intake.segment_lines import exchange_lines
from ragdiag.store.lake import Lake
from ragdiag.store.spool import adopt_orphans
from ragdiag.store.upkeep.archive import archive_turn, put_away
from ragdiag.store.upkeep.durability import next_file, sync_files
from ragdiag.store.upkeep.forgotten import all_forgotten

__all__ = ["IngestReport", "ingest"]

BATCH_BYTES = 64_000_000
"""Of segments that share a transaction; also what is held in memory at a time, about thrice."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Segments loaded in one transaction, and what they hold where that is not too much."""

    paths: Sequence[Path]
    screen: Screen
    chunks: Sequence[Sequence[Parsed]] | None

    def read(self) -> Iterable[Sequence[Parsed]]:
        return _chunks(self.paths, self.screen) if self.chunks is None else self.chunks


def ingest(lake: Lake, workspace: Workspace) -> IngestReport:
    """Load every finished segment, those of dead writers included, oldest first.

    Bad lines go to ``rejects`` with segment, line and reason. Of two records with one id the
    first stays; an equal one is passed over, a different one is rejected.
    """
    adopt_orphans(workspace)
    screen = open_screen(workspace)
    # A key that is missing is told before anything is loaded.
    keyring_for(read_configuration(workspace).privacy, "archive")
    report = IngestReport()
    paths = sorted(workspace.spool.glob("*.jsonl"), key=_age)
    for batch in _read_ahead(_batches(paths), screen):
        names = [path.name for path in batch.paths]
        first = lake.read(next_file)
        loaded = lake.write(
            lambda cursor, names=names, batch=batch: load_blocks(  # type: ignore[misc]
                cursor, workspace, names, batch.read()
            )
        )
        # Files of what another run had loaded may have any number.
        sync_files(lake, first if loaded.segments == len(names) else 0)
        report += loaded
        _put_away(lake, workspace, batch)
    return report


def _put_away(lake: Lake, workspace: Workspace, batch: _Batch) -> None:
    """Archive loaded segments, without what may not be kept, encrypted where it is asked for."""
    seal = keyring_for(read_configuration(workspace).privacy, "archive")
    keys = workspace_keys(workspace)
    with archive_turn(workspace):
        forgotten = lake.read(lambda cursor: all_forgotten(cursor, workspace))
        exchanged: dict[str, dict[int, bytes]] = {}
        for chunk in batch.read():
            for parsed in chunk:
                gone = forgotten_lines(workspace, forgotten, parsed)
                lines = exchanged.setdefault(parsed.block.segment, {})
                lines |= {**parsed.exchanged, **dict.fromkeys(gone, b"")}
        for path in batch.paths:
            exchange_lines(path, exchanged.get(path.name, {}), keys)
            put_away(path, seal, keys)


def _age(path: Path) -> tuple[int, str]:
    """Segments end in their opening time; a file of another name comes last."""
    tail = path.stem.rpartition("-")[2]
    return (int(tail) if tail.isdigit() else 2**63, path.name)


def _batches(paths: Iterable[Path]) -> Iterator[list[Path]]:
    """Small segments share a transaction: a commit costs more than their rows."""
    batch: list[Path] = []
    size = 0
    for path in paths:
        with suppress(FileNotFoundError):  # another ingester has just archived it
            more = path.stat().st_size
            if batch and size + more > BATCH_BYTES:
                yield batch
                batch, size = [], 0
            batch.append(path)
            size += more
    if batch:
        yield batch


def _read_ahead(batches: Iterator[list[Path]], screen: Screen) -> Iterator[_Batch]:
    """Read the next batch while the lake writes this one."""
    with ThreadPoolExecutor(1, "read-ahead") as reader:
        coming = [reader.submit(_read, paths, screen) for paths in _first(batches)]
        while coming:
            batch = coming.pop().result()
            coming = [reader.submit(_read, paths, screen) for paths in _first(batches)]
            yield batch


def _first(batches: Iterator[list[Path]]) -> Iterator[list[Path]]:
    with suppress(StopIteration):
        yield next(batches)


def _read(paths: list[Path], screen: Screen) -> _Batch:
    """A batch in memory, except for one huge segment, which is read while it is loaded."""
    with suppress(FileNotFoundError):
        if sum(path.stat().st_size for path in paths) > 2 * BATCH_BYTES:
            return _Batch(paths, screen, None)
    return _Batch(paths, screen, list(_chunks(paths, screen)))


def _chunks(paths: Sequence[Path], screen: Screen) -> Iterator[list[Parsed]]:
    """What the segments hold, in portions of BATCH_BYTES."""
    chunk: list[Parsed] = []
    size = 0
    for path in paths:
        for block in read_blocks(path):
            chunk.append(screen_block(screen, parse_block(block)))
            size += block.size
            if size >= BATCH_BYTES:
                yield chunk
                chunk, size = [], 0
    if chunk:
        yield chunk
