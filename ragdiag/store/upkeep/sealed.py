"""How files that leave the lake (spool archive, backup) are written and read: the one place.

They are encrypted on the way out where a keyring is given to seal them, and decrypted on the way
back in wherever they are encrypted.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from ragdiag.privacy.encryption import encrypting, open_decrypted
from ragdiag.privacy.keys import Keyring, default_keys
from ragdiag.store.disk import disk_faults
from ragdiag.store.upkeep.datafiles import Measured

CHUNK = 1 << 20


@contextmanager
def open_to_write(path: Path, seal: Keyring | None = None) -> Iterator[BinaryIO]:
    """A stream whose content becomes ``path`` when all of it is written and durable, encrypted
    under ``seal`` if there is one; where anything fails, ``path`` stays as it was. Mode 0600."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                with nullcontext(stream) if seal is None else encrypting(stream, seal) as target:
                    yield target
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(path)
        except BaseException:
            with suppress(OSError):
                fresh.unlink()
            raise


@contextmanager
def open_to_read(path: Path, keys: Keyring | None = None) -> Iterator[BinaryIO]:
    """The content of a file, encrypted or not; ``keys`` default to those of the default variable.

    Raises KeyMissing where it is encrypted and its key is not among them.
    """
    with disk_faults(path), open_decrypted(path, keys or default_keys()) as stream:
        yield stream


def copy_in(
    source: Path, target: Path, seal: Keyring | None = None, keys: Keyring | None = None
) -> Measured:
    """Write a file as one that leaves the lake; size and hash of the plain content."""
    with open_to_read(source, keys) as plain, open_to_write(target, seal) as sealed:
        return _pour(plain, sealed)


def copy_out(
    source: Path, target: Path, keys: Keyring | None = None, seal: Keyring | None = None
) -> Measured:
    """Write such a file back as one of the workspace; size and hash of the plain content."""
    with open_to_read(source, keys) as sealed, open_to_write(target, seal) as plain:
        return _pour(sealed, plain)


def measure_sealed(path: Path, keys: Keyring | None = None) -> Measured | None:
    """Size and hash of the plain content; None where there is no such file."""
    if not path.is_file():
        return None
    with open_to_read(path, keys) as sealed:
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
