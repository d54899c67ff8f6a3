"""Files of a run are replaced whole: a reader, or the next start, sees the old one or the new."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ragdiag.errors import StoreFull


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a new ``path``. Raises StoreFull; the old file is then still there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}")
    try:
        with draft.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except (OSError, RuntimeError) as error:
        draft.unlink(missing_ok=True)
        if not _is_full(path, error):
            raise
        raise StoreFull(
            f"no space left on the device for {path}",
            remedy="free some and start the same command again: it goes on from its checkpoint",
        ) from None


def _is_full(path: Path, error: Exception) -> bool:
    """torch's own writer says only that it failed; the disk says why."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC
    space = os.statvfs(path.parent)
    return space.f_bavail * space.f_frsize < 1 << 20
