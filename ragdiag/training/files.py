"""Files and folders of a run are replaced whole: a reader, or the next start, sees the old one or
the new."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ragdiag.errors import StoreFull


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a new ``path``. Raises StoreFull; the old file is then still there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}")
    try:
        with _full_disk_told(path), draft.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def replace_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a new ``folder``, which takes the old one's place once it is whole. Raises
    StoreFull; the old folder is then still there."""
    draft, old = folder.with_name(f".{folder.name}"), folder.with_name(f".{folder.name}-old")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        with _full_disk_told(folder):
            write(draft)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(draft, folder)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _full_disk_told(path: Path) -> Iterator[None]:
    """To be asked while what was half-written still fills the disk."""
    try:
        yield
    except Exception as error:  # safetensors and torch raise their own for a disk that is full
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
