"""Lines of a segment put in place of others, so that an archive keeps what was loaded and no more.

The file is exchanged as a whole, whatever happens on the way. Line numbers stay: a line that goes
leaves an empty one, which readers pass over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ragdiag.privacy.encryption import is_encrypted
from ragdiag.privacy.keys import Keyring
from ragdiag.store.kinds import Record, record_to_json
from ragdiag.store.upkeep.archive import open_archived, write_archived


def record_line(record: Record) -> bytes:
    """The line that says ``record``, without its end."""
    return json.dumps(record_to_json(record), allow_nan=False).encode()


def exchange_lines(path: Path, lines: Mapping[int, bytes], keys: Keyring) -> None:
    """Exchange lines of ``path``, by their numbers from 1; what is compressed or encrypted stays
    so. A file that is gone stays gone. Called within :func:`archive_turn`."""
    if not lines or not path.exists():
        return
    seal = keys if is_encrypted(path) else None
    with open_archived(path, keys) as source, write_archived(path, seal) as target:
        for number, line in enumerate(source, start=1):
            ending = b"\n" if line.endswith(b"\n") else b""
            target.write(lines[number] + ending if number in lines else line)
