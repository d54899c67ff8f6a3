"""Lines of a segment put in place of others, so that an archive keeps what was loaded and no more.

The file is exchanged as a whole, whatever happens on the way. Line numbers stay: a line that goes
leaves an empty one, which readers pass over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from ragdiag.privacy.encryption import is_encrypted
from ragdiag.privacy.keys import Keyring
from ragdiag.records import Reject
from ragdiag.store.intake.blocks import LONGEST_LINE
from ragdiag.store.kinds import Record, record_to_json, reject_to_json
from ragdiag.store.upkeep.archive import open_archived, write_archived
from ragdiag.store.upkeep.sealed import CHUNK


def record_line(record: Record) -> bytes:
    """The line that says ``record``, without its end."""
    return json.dumps(record_to_json(record), allow_nan=False).encode()


def refused_line(reject: Reject) -> bytes:
    """The line that says what was refused, without its end."""
    return json.dumps(reject_to_json(reject)).encode()


def exchange_lines(path: Path, lines: Mapping[int, bytes], keys: Keyring) -> None:
    """Exchange lines of ``path``, by their numbers from 1.

    What is compressed or encrypted stays so, and no line is held whole. A file that is gone stays
    gone. Called within :func:`archive_turn`.
    """
    if not lines or not path.exists():
        return
    seal = keys if is_encrypted(path) else None
    with open_archived(path, keys) as source, write_archived(path, seal) as target:
        number, begins = 1, True
        while piece := source.readline(CHUNK):
            if number not in lines:
                target.write(piece)
            elif begins:
                target.write(lines[number])
            begins = piece.endswith(b"\n")
            if begins and number in lines:
                target.write(b"\n")
            number += begins


def read_lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines by their numbers from 1; of one that is longer than any that is loaded, its head."""
    number, begins = 1, True
    while piece := source.readline(LONGEST_LINE):
        if begins:
            yield number, piece
        begins = piece.endswith(b"\n")
        number += begins
