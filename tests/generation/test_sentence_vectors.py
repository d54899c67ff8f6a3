"""The cache in front of the encoder: bounded, batched, exact."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from ragdiag.generation.sentence_vectors import SentenceVectors, shared_vectors


class CountingEncoder:
    """Writes a text's length into its vector, and keeps every batch it was asked for."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.batches.append(list(texts))
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


def test_missing_texts_are_encoded_once_and_in_one_batch() -> None:
    encoder = CountingEncoder()
    vectors = SentenceVectors(encoder)
    first = vectors.of(["a", "bb", "a"])
    second = vectors.of(["bb", "ccc", "dddd"])
    assert encoder.batches == [["a", "bb"], ["ccc", "dddd"]]
    assert first.tolist() == [[1, 1], [2, 1], [1, 1]]
    assert second.tolist() == [[2, 1], [3, 1], [4, 1]]


def test_the_encoder_is_not_called_where_everything_is_known() -> None:
    encoder = CountingEncoder()
    vectors = SentenceVectors(encoder)
    vectors.of(["a"])
    vectors.of(["a"])
    assert encoder.batches == [["a"]]


def test_the_least_recently_used_text_is_forgotten() -> None:
    encoder = CountingEncoder()
    vectors = SentenceVectors(encoder, capacity=2)
    vectors.of(["a", "bb"])
    vectors.of(["a"])
    vectors.of(["ccc"])
    assert len(vectors) == 2
    vectors.of(["a"])
    vectors.of(["bb"])
    assert encoder.batches == [["a", "bb"], ["ccc"], ["bb"]]


def test_a_call_larger_than_the_cache_still_gets_every_vector() -> None:
    vectors = SentenceVectors(CountingEncoder(), capacity=2)
    texts = ["x" * n for n in range(1, 7)]
    assert vectors.of(texts)[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert len(vectors) == 2


def test_a_kept_vector_does_not_keep_its_batch() -> None:
    vectors = SentenceVectors(CountingEncoder())
    vectors.of(["a", "bb"])
    assert all(kept.base is None for kept in vectors._kept.values())


def test_threads_get_the_vectors_they_asked_for() -> None:
    vectors = SentenceVectors(CountingEncoder(), capacity=5)
    batches = [["x" * (1 + (start + step) % 17) for step in range(6)] for start in range(200)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(vectors.of, batches))
    for batch, result in zip(batches, results, strict=True):
        assert result[:, 0].tolist() == [len(text) for text in batch]


def test_one_encoder_has_one_cache_and_another_its_own() -> None:
    encoder = CountingEncoder()
    assert shared_vectors(encoder) is shared_vectors(encoder)
    assert shared_vectors(encoder) is not shared_vectors(CountingEncoder())
