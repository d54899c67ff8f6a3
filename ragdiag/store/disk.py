"""What the operating system refuses, as the store's errors."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragdiag.errors import StoreError, StoreFull


@contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Turn an OSError within into StoreFull or StoreError, naming ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(
                f"no space left to write {path}",
                remedy="free some space and run this again",
            ) from error
        raise StoreError(
            f"cannot read or write {path} ({error.strerror})",
            remedy="check that the folder is there and that you may write to it",
        ) from error


def sync(path: Path) -> None:
    """Wait until a file, or the names that a folder holds, would survive a power cut. Raises
    OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
