"""Who has a build open: a shared lock on its folder, for as long as the holder lives.

The kernel frees the locks of a killed process. A rename of the folder keeps them.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragdiag.store.locks import try_lock


class Hold:
    """Nobody removes ``folder`` until this has been collected. Raises FileNotFoundError."""

    def __init__(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        weakref.finalize(self, os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)


@contextmanager
def unheld(folder: Path) -> Iterator[bool]:
    """Whether no process of this machine holds ``folder``; then none can within the block. False
    where it is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        yield False
        return
    try:
        yield try_lock(descriptor)
    finally:
        os.close(descriptor)
