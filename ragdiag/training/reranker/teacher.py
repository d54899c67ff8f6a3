"""A cross-encoder as the teacher of a smaller or faster model: how well does each passage fit?

What it says is kept on disk by the content of question and passage, so that a run that was killed,
or a second one on the same passages, asks only what is new.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ragdiag.errors import TrainingError
from ragdiag.progress import Progress, report
from ragdiag.retrieval.cross_encoder import load_cross_encoder
from ragdiag.retrieval.models import folder_sha256
from ragdiag.training.data.examples import TrainingSet
from ragdiag.training.loop import duration
from ragdiag.training.reranker.logit_cache import LogitCache, pair_key

STRETCH = 512
"""Pairs between two writes: what a kill loses at most."""


class Teacher:
    """A callable of a question and texts that gives their logits, unbounded, higher is better."""

    def __init__(
        self, model: str, cache: Path, *, max_tokens: int | None = None, batch: int = 32
    ) -> None:
        """``cache`` is a folder that other teachers may share. Raises ModelError."""
        self._scorer = load_cross_encoder(model, max_tokens)
        said = f"{folder_sha256(Path(model).expanduser())}\0{max_tokens}"
        self.identity = hashlib.sha256(said.encode()).hexdigest()[:16]
        self._cache = LogitCache(cache / f"{self.identity}.logits")
        self._batch = batch

    def __call__(self, question: str, texts: Sequence[str]) -> list[float]:
        """In their order. Raises ModelError for one that is not finite, StoreFull."""
        return self.logits([(question, text) for text in texts])

    def logits(
        self, pairs: Sequence[tuple[str, str]], progress: Progress | None = None
    ) -> list[float]:
        """Of each pair of a question and a text, in their order. Raises as a call does."""
        keys = [pair_key(*pair) for pair in pairs]
        new = {key: at for at, key in enumerate(keys) if key not in self._cache}
        missing, begun = list(new.items()), time.monotonic()
        for start in range(0, len(missing), STRETCH):
            stretch = missing[start : start + STRETCH]
            found = self._scorer.pair_logits([pairs[at] for _, at in stretch], self._batch)
            self._cache.add({key: float(x) for (key, _), x in zip(stretch, found, strict=True)})
            done = start + len(stretch)
            left_s = (time.monotonic() - begun) / done * (len(missing) - done)
            report(
                progress,
                done / len(missing),
                f"taught {done} of {len(missing)} passages, about {duration(left_s)} left",
            )
        return [self._cache[key] for key in keys]

    def teach(self, data: TrainingSet, progress: Progress | None = None) -> TrainingSet:
        """``data`` with the logits of every positive and then of each of its negatives.

        Raises TrainingError where a passage has no text, else as a call does.
        """
        named = [(pair.passage_id, *pair.negatives) for pair in data.pairs]
        for pair, names in zip(data.pairs, named, strict=True):
            for name in names:
                if name not in data.texts:
                    raise TrainingError(
                        f"passage {name!r} of question {pair.question_id!r} has no text",
                        remedy="give the text of every passage that a pair names",
                    )
        asked = [
            (pair.question, data.texts[name])
            for pair, names in zip(data.pairs, named, strict=True)
            for name in names
        ]
        said = iter(self.logits(asked, progress))
        taught = [
            replace(pair, teacher=tuple(next(said) for _ in names))
            for pair, names in zip(data.pairs, named, strict=True)
        ]
        return TrainingSet(taught, data.texts)
