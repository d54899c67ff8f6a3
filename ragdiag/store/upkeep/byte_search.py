"""A search through the bytes of files, whatever they are."""

from __future__ import annotations

import html
import json
import mmap
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragdiag.errors import StoreError

_WORD = 8
"""Bytes in the middle of what is searched for that are looked for at first, all at once."""
_PIECE = 1 << 22
_BITS = 20
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""Of Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4)."""


def files_with(root: Path, needles: Sequence[bytes]) -> list[str]:
    """Files below ``root`` that contain one of ``needles`` (UTF-8), its JSON or its HTML form, by
    path. The bytes are read once, however many the needles are.

    What is compressed or encrypted is not looked into. A process of its own does it: to close a
    file that DuckDB's SQLite has open would drop that one's locks.
    """
    if not needles:
        return []
    given = json.dumps([needle.decode(errors="replace") for needle in needles])
    done = subprocess.run(
        [sys.executable, "-m", "ragdiag.store.upkeep.byte_search", str(root)],
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StoreError(
            f"cannot search the files of {root} ({done.stderr.strip().splitlines()[-1:]})",
            remedy="check their permissions and run the same command again",
        )
    return [str(path) for path in json.loads(done.stdout)]


def search(root: Path, needles: Sequence[bytes]) -> Iterator[str]:
    """As :func:`files_with`, in this process."""
    wanted = Wanted({form for needle in needles for form in _forms(needle)})
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink() and _contains(path, wanted):
            yield str(path.relative_to(root))


def _forms(needle: bytes) -> set[bytes]:
    """A text as it is, in JSON and in HTML, as the usual libraries write them."""
    text = needle.decode(errors="replace")
    escaped = html.escape(text)
    forms = {
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        html.escape(text, quote=False),
        escaped,
        escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    }
    return {form for form in (needle, *map(str.encode, forms)) if form}


class Wanted:
    """Texts to be found in bytes: first where a word of one of them stands, then that text."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        self._short: list[bytes] = []
        self._by_word: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
        for text in texts:
            if len(text) < _WORD:
                self._short.append(text)
                continue
            middle = (len(text) - _WORD) // 2
            word = int.from_bytes(text[middle : middle + _WORD], "little")
            self._by_word[word].append((middle, text))
        self._words = np.array(sorted(self._by_word), np.uint64)
        self._marked = np.zeros(1 << _BITS, np.bool_)
        self._marked[_hashed(self._words)] = True

    def is_in(self, content: mmap.mmap | bytes) -> bool:
        if any(content.find(text) >= 0 for text in self._short):
            return True
        starts = (
            start
            for piece in range(0, len(content), _PIECE)
            for start in range(piece, min(piece + _WORD, len(content) - _WORD + 1))
        )
        return any(self._is_at(content, start) for start in starts)

    def _is_at(self, content: mmap.mmap | bytes, start: int) -> bool:
        """Whether a text has its word at ``start`` or whole words later, within one piece."""
        count = min(_PIECE, len(content) - start) // _WORD
        words = np.frombuffer(content, "<u8", count, start)
        places = np.flatnonzero(self._marked[_hashed(words)])
        places = places[np.isin(words[places], self._words)]
        for place, word in zip(places.tolist(), words[places].tolist(), strict=True):
            for middle, text in self._by_word[word]:
                begin = start + place * _WORD - middle
                if begin >= 0 and content[begin : begin + len(text)] == text:
                    return True
        return False


def _hashed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (words * _ODD) >> np.uint64(64 - _BITS)


def _contains(path: Path, wanted: Wanted) -> bool:
    with path.open("rb") as stream:
        if not path.stat().st_size:
            return False
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return wanted.is_in(content)


if __name__ == "__main__":
    sought = [needle.encode() for needle in json.load(sys.stdin)]
    print(json.dumps(list(search(Path(sys.argv[1]), sought))))
