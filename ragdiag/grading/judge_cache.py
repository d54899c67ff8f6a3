"""What a judge decided, on disk by the hash of what it was asked: an answer is paid for once.

A file holds the judgement and the tokens, and no text: what a model said of an answer may repeat
it, and would outlive the removal of its request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ragdiag.retrieval.files import atomic_file, full_disk_named


@dataclass(frozen=True, slots=True)
class Kept:
    """A judgement with what it took; of each sentence that was judged, whether a passage supports
    it and the passage's number."""

    y: int
    score: float
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    sentences: tuple[tuple[bool, int | None], ...] = ()


def key_of(base_url: str, request: Mapping[str, Any]) -> str:
    """SHA-256 of everything that decides a reply: the server, the model, the prompt, the schema.

    >>> key_of("u", {"b": 1, "a": 2}) == key_of("u", {"a": 2, "b": 1}) != key_of("v", {})
    True
    """
    said = json.dumps([base_url, request], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(said.encode()).hexdigest()


class JudgeCache:
    """Safe between threads and processes: files appear whole, and equal keys have equal content."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> Kept | None:
        """None where nothing is kept, or a file cannot be read as a judgement."""
        try:
            body = json.loads(self._path(key).read_text(encoding="utf-8"))
            told = tuple((bool(held), passage) for held, passage in body.get("sentences", ()))
            return Kept(**{**body, "sentences": told})
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def put(self, key: str, kept: Kept) -> None:
        """Raises StoreFull."""
        path = self._path(key)
        with full_disk_named(self._folder), atomic_file(path) as temporary:
            temporary.write_text(json.dumps(asdict(kept)), encoding="utf-8")

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"
