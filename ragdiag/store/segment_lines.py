"""Lines of a segment put in place of others, so that an archive keeps what was loaded and no more.

The file is exchanged as a whole, whatever happens on the way. Line numbers stay: a line that goes
leaves an empty one, which readers pass over.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from ragdiag.privacy.encryption import encrypting, is_encrypted, open_decrypted
from ragdiag.privacy.keys import NO_KEYS, Keyring
from ragdiag.settings import Workspace
from ragdiag.store.disk import disk_faults
from ragdiag.store.kinds import Record, record_to_json
from ragdiag.store.locks import locked

PATIENCE_S = 60.0


def record_line(record: Record) -> bytes:
    """The line that says ``record``, without its end."""
    return json.dumps(record_to_json(record), allow_nan=False).encode()


def exchange_lines(path: Path, lines: Mapping[int, bytes], keys: Keyring = NO_KEYS) -> None:
    """Exchange lines of ``path``, by their numbers from 1; an encrypted file stays encrypted. A
    file that is gone stays gone."""
    if not lines:
        return
    with (
        disk_faults(path),
        suppress(FileNotFoundError),
        open_decrypted(path, keys) as source,
        written_whole(path, keys if is_encrypted(path) else None) as target,
    ):
        for number, line in enumerate(source, start=1):
            ending = b"\n" if line.endswith(b"\n") else b""
            target.write(lines[number] + ending if number in lines else line)


@contextmanager
def written_whole(path: Path, seal: Keyring | None) -> Iterator[BinaryIO]:
    """A stream that becomes ``path`` when all of it is written and durable, encrypted where
    ``seal`` is given; where anything fails, ``path`` stays as it was."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}-{time.time_ns()}")
    try:
        descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            with nullcontext(stream) if seal is None else encrypting(stream, seal) as target:
                yield target
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def archive_turn(workspace: Workspace) -> Iterator[None]:
    """Only one process at a time exchanges lines and moves segments: else one could bring back
    what the other has just taken out. StoreBusy where another takes too long."""
    with disk_faults(workspace.spool):
        workspace.spool.mkdir(parents=True, exist_ok=True)
    with locked(workspace.spool / "archive.lock", time.monotonic() + PATIENCE_S):
        yield
