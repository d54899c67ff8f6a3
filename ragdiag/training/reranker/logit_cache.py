"""What a teacher said of pairs of question and text, in a file that only grows.

A record is 40 bytes: the SHA-256 of the pair, then its logit as a little-endian float64. A record
that a kill cut off is dropped when the file is opened next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ragdiag.retrieval.files import full_disk_named

_RECORD = np.dtype([("pair", "V32"), ("logit", "<f8")])

Key = bytes


def pair_key(question: str, text: str) -> Key:
    """SHA-256 of the two, 32 bytes; where one ends and the other begins counts."""
    return hashlib.sha256(json.dumps([question, text]).encode()).digest()


class LogitCache:
    """Logits by :func:`pair_key`. One process writes at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Key, float] = {}
        if path.is_file():
            whole = path.stat().st_size // _RECORD.itemsize
            rows = np.fromfile(path, dtype=_RECORD, count=whole)
            pairs = (row.tobytes() for row in rows["pair"])
            self._known = dict(zip(pairs, rows["logit"].tolist(), strict=True))
            with path.open("r+b") as file:
                file.truncate(whole * _RECORD.itemsize)

    def __contains__(self, key: Key) -> bool:
        return key in self._known

    def __getitem__(self, key: Key) -> float:
        return self._known[key]

    def add(self, logits: Mapping[Key, float]) -> None:
        """Raises StoreFull."""
        rows = np.empty(len(logits), dtype=_RECORD)
        for at, (key, logit) in enumerate(logits.items()):
            rows[at] = (np.void(key), logit)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with full_disk_named(self._path.parent), self._path.open("ab") as file:
            file.write(rows.tobytes())
        self._known.update(logits)
