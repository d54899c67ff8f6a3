"""Vectors of sentences by their text, kept while they are in use.

Replay and evaluation ask about the same passages again and again; encoding is nearly all that an
extractive answer costs.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

CAPACITY = 40_000
"""Texts kept: 61 MB at 384 dimensions."""


class Encoder(Protocol):
    """Anything that turns n texts into n unit vectors, shape (n, d)."""

    def encode(self, texts: Sequence[str]) -> Vectors: ...


class SentenceVectors:
    """A bounded least-recently-used cache in front of an encoder; safe between threads.

    What one call needs is encoded in one batch, however many texts are missing; the encoder
    is never called with nothing.
    """

    def __init__(self, encoder: Encoder, capacity: int = CAPACITY) -> None:
        self._encoder = encoder
        self._capacity = capacity
        self._kept: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of ``texts``, shape (len(texts), d), in their order; repeats allowed.

        ``texts`` is not empty. Two threads that miss the same text both encode it.
        """
        with self._lock:
            found = {text: self._kept[text] for text in texts if text in self._kept}
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            vectors = self._encoder.encode(missing)
            # a row is copied, else it would keep its whole batch in memory
            found.update((text, row.copy()) for text, row in zip(missing, vectors, strict=True))
        with self._lock:
            for text in texts:
                self._kept[text] = found[text]
                self._kept.move_to_end(text)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return np.stack([found[text] for text in texts])


@lru_cache(maxsize=2)
def shared_vectors(encoder: Encoder) -> SentenceVectors:
    """The process's one cache for ``encoder``, which must be hashable: versions share it."""
    return SentenceVectors(encoder)
