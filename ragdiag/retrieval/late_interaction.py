"""Late interaction: question and passage are encoded apart, and their word pieces meet in MaxSim.

The score of a passage is the mean, over the word pieces of the question, of how far the best cosine
with a word piece of the passage (ColBERT; Khattab & Zaharia 2020) stands out: less GIST times the
mean cosine with all of its pieces. Contextual vectors all carry what their passage is about, so a
question on the same subject is near to every one of them, and the best alone rewards that again.
Pieces weigh ln(1 + N / n), with n of N passages holding them, so that rare words decide. The
encoder is that of a dense path: nothing has to be trained for it, and nothing but the question is
encoded while it waits.

A vector is kept as one byte a number. Only its direction matters, so nothing else is kept of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from threading import Lock

import numpy as np
import numpy.typing as npt

from ragdiag.errors import ModelError
from ragdiag.progress import Progress, report
from ragdiag.records import Passage
from ragdiag.retrieval.embed import Embedder, Encoder, load_embedder, load_question_encoder
from ragdiag.retrieval.vectors import EmbeddingCache, encode_missing, open_cache, passage_text
from ragdiag.settings import Workspace
from ragdiag.version import EmbedderSpec, RerankerSpec

GIST = 0.75
"""How much of the mean cosine is taken off the best; from .5 to 1 makes no difference that
docs/retrieval.md could show."""

COUNTED = 10_000
"""Passages that word pieces are counted in at most."""

ASKED = 32
"""Questions whose word pieces are kept: a list is scored in several batches."""

_STRETCH = 64
"""Passages between two progress reports."""

Codes = npt.NDArray[np.int8]


class LateInteraction:
    """Scores passages by their word pieces; safe in threads.

    ``encoder`` reads passages and ``asking`` questions. ``codes`` has those of texts that were
    encoded before, ``holding`` how many of ``counted`` texts hold a word piece.
    """

    def __init__(
        self,
        encoder: Embedder,
        asking: Embedder,
        codes: Mapping[str, Codes],
        holding: Mapping[int, int],
        counted: int,
    ) -> None:
        self._encoder = encoder
        self._asked = lru_cache(maxsize=ASKED)(lambda question: asking.encode_pieces([question])[0])
        self._codes = dict(codes)
        self._holding, self._counted = holding, counted
        self._lock = Lock()

    def logits(self, question: str, texts: Sequence[str], batch: int) -> npt.NDArray[np.float64]:
        """How well the words of each of ``texts`` match, float64 (n,), −1 … 2; 0 for a question or
        a text without words. Texts not met before are encoded, ``batch`` at a time, and kept."""
        asked = self._asked(question)
        codes = self.codes_of(texts, batch)
        if not len(asked.pieces):
            return np.zeros(len(texts))
        weights = self.weights(asked.pieces.tolist())
        # In one thread: where cores are busy, threads wait for each other, and fifty passages took
        # 1.7 s instead of 20 ms.
        with self._encoder.one_thread():
            return np.array([float(one @ weights) for one in prominences(asked.vectors, codes)])

    def weights(self, pieces: Sequence[int]) -> npt.NDArray[np.float32]:
        """Of the word pieces of a question, (q,), which sum to 1."""
        held = np.array([max(self._holding.get(piece, 0), 1) for piece in pieces])
        raw = np.log1p(self._counted / held).astype(np.float32)
        return raw / max(float(raw.sum()), 1e-12)

    def codes_of(self, texts: Sequence[str], batch: int) -> list[Codes]:
        """Of every text, (t, d)."""
        with self._lock:
            missing = [text for text in dict.fromkeys(texts) if text not in self._codes]
        for start in range(0, len(missing), batch):
            some = missing[start : start + batch]
            read = self._encoder.encode_pieces(some)
            with self._lock:
                self._codes.update(zip(some, (encoded(one.vectors) for one in read), strict=True))
        with self._lock:
            return [self._codes[text] for text in texts]


def load_late_interaction(
    passages: Sequence[Passage], spec: RerankerSpec, cache: EmbeddingCache
) -> LateInteraction:
    """Late interaction over ``passages``, with what ``cache`` keeps of them. Raises ModelError."""
    encoder = _with_pieces(load_embedder(encoder_spec(spec)), spec)
    asking = _with_pieces(load_question_encoder(encoder_spec(spec)), spec)
    known = cache.read(_cache_key(encoder), {passage.content_hash for passage in passages})
    codes = {
        passage_text(passage, title=True): known[passage.content_hash]
        for passage in passages
        if passage.content_hash in known
    }
    every = -(-len(passages) // COUNTED)
    counted = sorted(passages, key=lambda passage: passage.content_hash)[:: max(every, 1)]
    holding: Counter[int] = Counter()
    for pieces in encoder.split([passage_text(passage, title=True) for passage in counted]):
        holding.update(set(pieces))
    return LateInteraction(encoder, asking, codes, holding, len(counted))


def encode_for_reranking(
    passages: Sequence[Passage],
    spec: RerankerSpec,
    workspace: Workspace,
    progress: Progress | None = None,
) -> None:
    """Encode the word pieces of those ``passages`` that the workspace has none of yet, so that no
    question waits for them. Raises ModelError, StoreFull, KeyMissing."""
    encoder = _with_pieces(load_embedder(encoder_spec(spec)), spec)

    def encode(texts: Sequence[str], _: Sequence[str], progress: Progress) -> list[Codes]:
        found: list[Codes] = []
        for start in range(0, len(texts), _STRETCH):
            pieces = encoder.encode_pieces(texts[start : start + _STRETCH])
            found += [encoded(one.vectors) for one in pieces]
            report(progress, len(found) / len(texts), "")
        return found

    encode_missing(passages, _cache_key(encoder), encode, open_cache(workspace), progress=progress)


def encoded(vectors: npt.NDArray[np.float32]) -> Codes:
    """Vectors (t, d) as whole numbers, each vector's largest ±127: only directions are kept."""
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=1e-12)
    codes: Codes = np.rint(vectors * (127 / largest)).astype(np.int8)
    return codes


def prominences(
    vectors: npt.NDArray[np.float32], passages: Sequence[Codes]
) -> Iterator[npt.NDArray[np.float32]]:
    """Of each of the unit ``vectors`` (q, d), how far its best cosine in every passage (t, d)
    stands out of the mean there, (q,); 0 in a passage without word pieces."""
    import torch  # whose threads can be told, unlike numpy's

    asked = torch.from_numpy(vectors)
    for codes in passages:
        held = torch.from_numpy(codes).float()
        if not len(held):
            yield np.zeros(len(vectors), dtype=np.float32)
            continue
        cosines = asked @ held.T / torch.linalg.vector_norm(held, dim=1)
        yield (cosines.amax(dim=1) - GIST * cosines.mean(dim=1)).numpy()


def encoder_spec(spec: RerankerSpec) -> EmbedderSpec:
    """What reads passages and questions for late interaction."""
    return EmbedderSpec(
        model=spec.model,
        adapter=spec.adapter,
        question_adapter=spec.question_adapter,
        max_tokens=spec.max_tokens,
    )


def _with_pieces(found: Encoder, spec: RerankerSpec) -> Embedder:
    if not isinstance(found, Embedder):
        raise ModelError(
            f"the export {spec.model} gives no vectors of word pieces",
            remedy="name the model that it was exported from",
        )
    return found


def _cache_key(encoder: Embedder) -> str:
    return f"{encoder.model_hash}-pieces"
