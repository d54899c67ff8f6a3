"""How files that leave the lake (spool archive, backup) are written and read: the one place.

Whatever is to be done to their bytes on the way out and back in is done here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ragdiag.store.datafiles import Measured
from ragdiag.store.disk import disk_faults

CHUNK = 1 << 20


@contextmanager
def open_to_write(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content becomes ``path`` when all of it is written and durable; where
    anything fails, ``path`` stays as it was. Mode 0600."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(path)
        except BaseException:
            with suppress(OSError):
                fresh.unlink()
            raise


@contextmanager
def open_to_read(path: Path) -> Iterator[BinaryIO]:
    with disk_faults(path), open(path, "rb") as stream:
        yield stream


def copy_in(source: Path, target: Path) -> Measured:
    """Write a plain file as a sealed one; size and hash of the plain content."""
    with disk_faults(source), open(source, "rb") as plain, open_to_write(target) as sealed:
        return _pour(plain, sealed)


def copy_out(source: Path, target: Path) -> Measured:
    """Write a sealed file as a plain one; size and hash of the plain content."""
    with open_to_read(source) as sealed, open_to_write(target) as plain:
        return _pour(sealed, plain)


def measure_sealed(path: Path) -> Measured | None:
    """Size and hash of the plain content; None where there is no such file."""
    if not path.is_file():
        return None
    with open_to_read(path) as sealed:
        return _pour(sealed, None)


def _pour(source: BinaryIO, target: BinaryIO | None) -> Measured:
    digest = hashlib.sha256()
    size = 0
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if target is not None:
            target.write(chunk)
    return Measured(size, digest.hexdigest())
