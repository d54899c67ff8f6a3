"""Answer spans by a model of two logits a token: start and end (BERT, Devlin et al. 2019, §4.3).

    score(i, j) = start_i + end_j,   i ≤ j < i + longest, both in the passage
    margin      = max score − (start_0 + end_0)

Token 0 is the mark in front of the question; its score is that of no answer (SQuAD 2.0). A passage
longer than the model reads is read in windows that overlap, each with a margin of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ragdiag.errors import ModelError
from ragdiag.records import ContextPassage

SETTINGS = "reader.json"
"""What training chose, beside the model's own files."""

_BATCH = 16
_Logits = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """``threshold`` is the least margin to answer at, in logits; a window has ``max_tokens``,
    ``stride`` of which it shares with the one before."""

    threshold: float = 0.0
    max_tokens: int = 384
    stride: int = 128


class Window(NamedTuple):
    """A question and a stretch of one passage, as a model reads them.

    ``encoded`` holds the model's inputs, each (length,). ``spans`` are a token's characters in the
    passage's text, or None for a token that is not of it.
    """

    passage: int
    encoded: dict[str, list[int]]
    spans: list[tuple[int, int] | None]


class Span(NamedTuple):
    """Characters ``start`` to ``end`` of passage number ``passage``, from 0."""

    passage: int
    start: int
    end: int
    margin: float


@dataclass(frozen=True)
class SpanModel:
    """A question-answering model of transformers and its fast tokenizer, for any thread."""

    model: Any
    tokenizer: Any
    settings: ReaderSettings
    lock: Lock = field(default_factory=Lock)

    def windows(self, question: str, context: Sequence[ContextPassage]) -> list[Window]:
        """Every window of every passage; a title is read in front of its text, and never an
        answer. A question that leaves no room for a passage is cut."""
        length = self._length()
        asked = self._cut(question, length // 2)
        room = length - len(self.tokenizer(asked)["input_ids"])
        found = []
        for number, passage in enumerate(context):
            title = f"{passage.title}\n" if passage.title else ""
            encoded = self.tokenizer(
                asked,
                title + passage.text,
                truncation="only_second",
                max_length=length,
                stride=max(0, min(self.settings.stride, room // 2)),
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
            )
            for at, offsets in enumerate(encoded["offset_mapping"]):
                inputs = {
                    name: encoded[name][at]
                    for name in self.tokenizer.model_input_names
                    if name in encoded
                }
                of_text = (part == 1 for part in encoded.sequence_ids(at))
                spans = list(_in_text(offsets, of_text, len(title)))
                found.append(Window(number, inputs, spans))
        return found

    def best(self, question: str, context: Sequence[ContextPassage], longest: int) -> Span | None:
        """The span with the largest margin, of at most ``longest`` tokens; the first of equals.
        None where no passage has a word.

        Raises ModelError for a logit that is not finite.
        """
        with self.lock:
            windows = self.windows(question, context)
            scored = [
                s
                for at in range(0, len(windows), _BATCH)
                for s in self._score(windows[at : at + _BATCH])
            ]
        spans = (best_span(w, *logits, longest) for w, logits in zip(windows, scored, strict=True))
        found = [span for span in spans if span is not None]
        return max(found, key=lambda span: span.margin, default=None)

    def logits(self, windows: Sequence[Window]) -> tuple[Any, Any]:
        """Start and end logits of ``windows``, two tensors (windows, longest window)."""
        import torch

        longest = max(len(window.spans) for window in windows)
        filled = {
            "token_type_ids": 0,
            "attention_mask": 0,
            "input_ids": self.tokenizer.pad_token_id,
        }
        inputs = {
            name: torch.tensor(
                [w.encoded[name] + [filled[name]] * (longest - len(w.spans)) for w in windows],
                device=self.model.device,
            )
            for name in windows[0].encoded
        }
        given = self.model(**inputs)
        return given.start_logits, given.end_logits

    def _score(self, windows: Sequence[Window]) -> list[tuple[_Logits, _Logits]]:
        import torch

        with torch.inference_mode():
            start, end = (one.float().cpu().numpy() for one in self.logits(windows))
        if not (np.isfinite(start).all() and np.isfinite(end).all()):
            raise ModelError(
                "the reader gave a score that is not finite",
                remedy="check the model for NaN weights",
            )
        return list(zip(start, end, strict=True))

    def _length(self) -> int:
        limit = int(getattr(self.model.config, "max_position_embeddings", 0) or 1_000_000)
        return min(self.settings.max_tokens, limit, int(self.tokenizer.model_max_length))

    def _cut(self, question: str, room: int) -> str:
        offsets = self.tokenizer(question, add_special_tokens=False, return_offsets_mapping=True)[
            "offset_mapping"
        ]
        return question if len(offsets) <= room else question[: offsets[room - 1][1]]


def best_span(window: Window, start: _Logits, end: _Logits, longest: int) -> Span | None:
    """The best span of one window by the module's formula; ``start`` and ``end`` are (n,), n at
    least the window's length. None where no token is of the passage."""
    places = np.array([at for at, span in enumerate(window.spans) if span is not None], dtype=int)
    if not len(places):
        return None
    scores = start[places][:, None] + end[places][None, :]
    reach = places[None, :] - places[:, None]
    scores = np.where((reach >= 0) & (reach < longest), scores, -np.inf)
    first, last = np.unravel_index(int(np.argmax(scores)), scores.shape)
    opened, closed = window.spans[places[first]], window.spans[places[last]]
    assert opened is not None
    assert closed is not None
    margin = float(scores[first, last]) - float(start[0] + end[0])
    return Span(window.passage, opened[0], closed[1], margin)


def read_settings(folder: Path) -> ReaderSettings:
    """Those of a reader that was trained here, the defaults for any other. Raises ModelError."""
    path = folder / SETTINGS
    if not path.is_file():
        return ReaderSettings()
    try:
        return ReaderSettings(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise ModelError(f"cannot read {path}", remedy="train the reader again") from None


def _in_text(
    offsets: Sequence[tuple[int, int]], of_passage: Iterator[bool], title: int
) -> Iterator[tuple[int, int] | None]:
    for (start, end), inside in zip(offsets, of_passage, strict=True):
        yield (start - title, end - title) if inside and start >= title and end > start else None
