"""Broken parts break what they say, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ragdiag.demo.schedule import SLOW_MS, SLOW_SHARE
from ragdiag.demo.serving import FirstWordEncoder, SlowLexical
from ragdiag.progress import Progress


class ToyLexical:
    def scores(self, question: str) -> npt.NDArray[np.float32]:
        return np.array([len(question)], dtype=np.float32)

    def upper_bound(self, question: str) -> float:
        return 99.0

    def save(self, directory: Path) -> None:
        raise AssertionError("nothing is saved while serving")


class ToyEncoder:
    model_hash = "m"
    dimension = 1
    title = True

    def __init__(self) -> None:
        self.given: list[str] = []

    def encode(
        self, texts: Sequence[str], progress: Progress | None = None
    ) -> npt.NDArray[np.float32]:
        self.given += texts
        return np.ones((len(texts), 1), dtype=np.float32)


def test_a_slow_lexical_path_scores_alike_and_waits_for_its_share() -> None:
    slow = SlowLexical(ToyLexical(), week=9)
    waited = []
    for n in range(24):
        started = time.perf_counter()
        scores = slow.scores(f"question {n}")
        waited.append(time.perf_counter() - started > SLOW_MS / 1000)
        assert scores.tolist() == [len(f"question {n}")]

    assert 0 < sum(waited) < 24 * 2 * SLOW_SHARE
    assert slow.upper_bound("question") == 99.0


def test_the_blind_encoder_sees_the_first_word_only() -> None:
    toy = ToyEncoder()
    blind = FirstWordEncoder(toy)

    assert blind.encode(["What does it do?", "How  so"]).shape == (2, 1)
    assert toy.given == ["What", "How"]
    assert (blind.model_hash, blind.dimension, blind.title) == ("m", 1, True)
