"""The files of an import, opened as streams: plain, gzip or Zstandard, however large.

What a compressed file expands to is capped by its ratio: logs shrink to a tenth or a thirtieth,
and a stream that grows more than 250-fold past its first 64 MB is refused as a bomb.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from ragdiag.errors import InputError
from ragdiag.settings import Workspace

CONTAINERS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
COMPRESSED = (".gz", ".zst")
FREE_BYTES = 64_000_000
MAX_RATIO = 250
_CHUNK = 1 << 20


class UnreadableFile(Exception):
    """Why the rest of a file cannot be read; the rows before it stand."""


def find_logs(path: Path) -> tuple[list[Path], int]:
    """The log files at ``path`` in path order, and how many other files a folder has.

    Links that leave the folder are not followed; names that begin with a dot, and workspaces, are
    skipped.
    Raises InputError where nothing can be read.
    """
    if path.is_file():
        return [path], 0
    if not path.is_dir():
        raise InputError(f"there is no file or folder {path}", remedy="name one that exists")
    root, wanted, skipped = path.resolve(), [], 0
    for where, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not _is_passed_over(Path(where, name))]
        for one in (Path(where, name) for name in names if not name.startswith(".")):
            inside = one.is_file() and one.resolve().is_relative_to(root)
            if inside and _plain_suffix(one) in CONTAINERS:
                wanted.append(one)
            else:
                skipped += 1
    if not wanted:
        raise InputError(
            f"{path} holds no log",
            remedy=f"name a folder with files in {', '.join(CONTAINERS)}, plain or .gz or .zst",
        )
    return sorted(wanted), skipped


def container_of(path: Path) -> str:
    """``jsonl``, ``json``, ``csv`` or ``parquet``, by the file's name; InputError for others."""
    try:
        return CONTAINERS[_plain_suffix(path)]
    except KeyError:
        raise InputError(
            f"{path} is in no known container",
            remedy=f"name a file in {', '.join(CONTAINERS)}, plain or .gz or .zst",
        ) from None


def is_tab_separated(path: Path) -> bool:
    return _plain_suffix(path) == ".tsv"


@contextmanager
def open_stream(path: Path) -> Iterator[LogStream]:
    """The expanded bytes of ``path``. Raises InputError where it cannot be opened."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise InputError(
            f"cannot read {path} ({error.strerror})", remedy="name a file that can be read"
        ) from None
    with raw:
        suffix = path.suffix.lower()
        if suffix == ".gz":
            expanded = cast(BinaryIO, gzip.GzipFile(fileobj=raw))
        elif suffix == ".zst":
            expanded = cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd"))
        else:
            expanded = raw
        yield LogStream(raw, expanded)


class LogStream(io.RawIOBase):
    """Expanded bytes that know how far into the file they are. Wrap it in a BufferedReader."""

    def __init__(self, raw: BinaryIO, expanded: BinaryIO) -> None:
        self._raw = raw
        self._expanded = expanded
        self._given = 0

    @property
    def consumed(self) -> int:
        """Bytes of the file itself that were read."""
        return self._raw.tell()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """Raises UnreadableFile for a broken, truncated or bomb-like stream."""
        try:
            chunk = self._expanded.read(min(len(buffer), _CHUNK))
        except (EOFError, OSError, ValueError, zlib.error) as error:
            said = str(error) or type(error).__name__
            raise UnreadableFile(f"the compressed stream is broken or cut off ({said})") from None
        self._given += len(chunk)
        if self._given > FREE_BYTES and self._given > MAX_RATIO * max(self._raw.tell(), 1):
            raise UnreadableFile(f"it expands more than {MAX_RATIO}-fold: refused as a bomb")
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _is_passed_over(folder: Path) -> bool:
    return folder.name.startswith(".") or Workspace(folder).exists


def _plain_suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in COMPRESSED else suffix
