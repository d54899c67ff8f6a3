"""The head of a ranked list in a better order: a model scores it, batch by batch.

A scored hit has the calibrated probability that it is relevant, σ(slope·logit + offset) (Platt
1999); those that were not reached follow in their old order with −1, −2, …, so that no probability
is made up for them and the order is still one of scores. With a ``weight`` w below 1 its fused
score has a say: as a share, between the lowest (0) and the highest (1) of the head. ``scale`` tells
what it is mixed with. The probability p suits a model that is mostly sure: w·p + (1 − w)·share.
Log-odds suit one whose scores lie close together, where every p is near 0 and a share would
outweigh it: σ(w·(slope·logit + offset) + (1 − w)·share).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock
from time import perf_counter
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ragdiag.records import Hit, Passage
from ragdiag.retrieval.breaker import Unavailable
from ragdiag.retrieval.cross_encoder import load_cross_encoder
from ragdiag.retrieval.daemons import Daemons
from ragdiag.retrieval.fusion import Span
from ragdiag.retrieval.late_interaction import load_late_interaction
from ragdiag.retrieval.vectors import open_cache, passage_text
from ragdiag.settings import Workspace
from ragdiag.version import RerankerSpec

REMEMBERED = 10_000
"""Lists that late reranking finished after their answer, kept for the next who asks the same."""

UNFINISHED = 32
"""Lists that wait for late reranking at most, each once: more are not finished, since whoever asks
the same next would not find them soon enough."""

_log = logging.getLogger(__name__)

Hits = tuple[Hit, ...]
_Key = tuple[str, tuple[str, ...]]


class Scorer(Protocol):
    def logits(
        self, question: str, texts: Sequence[str], batch: int
    ) -> npt.NDArray[np.float64]: ...


class Reranker:
    """Reorders fused lists; safe in threads. :func:`open_reranker` loads what scores them."""

    def __init__(self, passages: Mapping[str, Passage], spec: RerankerSpec, scorer: Scorer) -> None:
        self._passages, self._spec = passages, spec
        self._scorer = scorer
        self._finished: OrderedDict[_Key, Hits] = OrderedDict()
        self._lock = Lock()
        self._unfinished: set[_Key] = set()
        self._later = Daemons(1, "rerank-later") if spec.late == "later" else None

    def rerank(self, question: str, hits: Sequence[Hit]) -> Hits:
        """All ``hits``, the first ``depth`` of them by the scorer.

        Raises Unavailable once ``budget_ms`` is spent before the last batch: the list is then used
        as it came. With ``late = "later"`` the work is finished behind the answer, unless too much
        waits there, and who asks the same of the same candidates next has it at once.
        """
        key = (question, tuple(hit.passage_id for hit in hits[: self._spec.depth]))
        with self._lock:
            if key in self._finished:
                return _followed(self._finished[key], hits)
        logits, spent = self._scored(question, hits, self._spec.budget_ms)
        if spent:
            self._finish_later(key, tuple(hits))
            raise Unavailable(f"rerank: over its budget of {self._spec.budget_ms:g} ms")
        return self._ordered(hits, logits)

    def logits(self, question: str, hits: Sequence[Hit]) -> list[float]:
        """Of the first ``depth`` hits, in their order, however long it takes: for calibration."""
        return self._scored(question, hits[: self._spec.depth], None)[0]

    def _scored(
        self, question: str, hits: Sequence[Hit], budget_ms: float | None
    ) -> tuple[list[float], bool]:
        """Logits of the first hits, in their order, and whether the budget ended it.

        With ``patience`` it also ends after so many batches in a row that brought nothing into the
        first ``top``.
        """
        started, idle = perf_counter(), 0
        logits: list[float] = []
        head = hits[: self._spec.depth]
        fused = shares([hit.score for hit in head])
        for start in range(0, len(head), self._spec.batch):
            if budget_ms is not None and (perf_counter() - started) * 1e3 >= budget_ms:
                return logits, True
            batch = head[start : start + self._spec.batch]
            texts = [passage_text(self._passages[hit.passage_id], title=True) for hit in batch]
            logits += self._scorer.logits(question, texts, self._spec.batch).tolist()
            values = self._values(logits, fused)
            bar = sorted(values[:start], reverse=True)[self._spec.top - 1 : self._spec.top]
            idle = idle + 1 if bar and max(values[start:]) <= bar[0] else 0
            if self._spec.patience is not None and idle >= self._spec.patience:
                break
        return logits, False

    def _ordered(self, hits: Sequence[Hit], logits: Sequence[float]) -> Hits:
        fused = shares([hit.score for hit in hits[: self._spec.depth]])
        values = self._values(logits, fused)
        if self._spec.weight == 1.0:
            scores = [probability(logit, self._spec) for logit in logits]
        elif self._spec.scale == "log_odds":
            scores = [sigmoid(value) for value in values]
        else:
            scores = values
        order = sorted(range(len(values)), key=lambda at: (-values[at], at))
        return _followed(tuple(Hit(hits[at].passage_id, scores[at]) for at in order), hits)

    def _values(self, logits: Sequence[float], fused: Sequence[float]) -> list[float]:
        """What the scored head is ordered by; logits, since probabilities near 1 run together."""
        if self._spec.weight == 1.0:
            return list(logits)
        own = log_odds if self._spec.scale == "log_odds" else probability
        return [
            interpolated(own(logit, self._spec), share, self._spec.weight)
            for logit, share in zip(logits, fused, strict=False)
        ]

    def _finish_later(self, key: _Key, hits: Hits) -> None:
        if self._later is None:
            return
        with self._lock:
            if key in self._unfinished or len(self._unfinished) >= UNFINISHED:
                return
            self._unfinished.add(key)
        self._later.submit(lambda: self._finish(key, hits))

    def _finish(self, key: _Key, hits: Hits) -> None:
        try:
            logits, _ = self._scored(key[0], hits, None)
            finished = self._ordered(hits, logits)[: len(logits)]
            with self._lock:
                self._finished[key] = finished
                while len(self._finished) > REMEMBERED:
                    self._finished.popitem(last=False)
        except Exception:  # nobody waits for it
            _log.exception("a list could not be reranked behind its answer")
        finally:
            with self._lock:
                self._unfinished.discard(key)


def open_reranker(
    passages: Mapping[str, Passage], spec: RerankerSpec, workspace: Workspace
) -> Reranker:
    """The reranker of ``spec`` over ``passages``. Raises as :func:`load_scorer`."""
    return Reranker(passages, spec, load_scorer(passages, spec, workspace))


def load_scorer(
    passages: Mapping[str, Passage], spec: RerankerSpec, workspace: Workspace
) -> Scorer:
    """What scores ``passages`` under ``spec``, whatever its depth and weight. Raises ModelError,
    KeyMissing."""
    if spec.kind == "cross_encoder":
        return load_cross_encoder(spec.model, spec.max_tokens)
    return load_late_interaction(list(passages.values()), spec, open_cache(workspace))


def probability(logit: float, spec: RerankerSpec) -> float:
    """σ(slope·logit + offset), without overflow, as float32 reads it.

    >>> probability(0.0, RerankerSpec(model="m"))
    0.5
    """
    return sigmoid(log_odds(logit, spec))


def log_odds(logit: float, spec: RerankerSpec) -> float:
    return spec.slope * logit + spec.offset


def sigmoid(value: float) -> float:
    return float(np.float32(0.5 * (1.0 + np.tanh(0.5 * value))))


def shares(scores: Sequence[float]) -> list[float]:
    """Each score between the lowest (0) and the highest (1) of them; all 0 where they are one.

    >>> shares([3.0, 2.0, 1.0]), shares([5.0])
    ([1.0, 0.5, 0.0], [0.0])
    """
    span = Span(min(scores, default=0.0), max(scores, default=0.0))
    return [span.scale(score) for score in scores]


def interpolated(own: float, fused: float, weight: float) -> float:
    """weight·own + (1 − weight)·fused, as float32 reads it.

    >>> interpolated(1.0, 0.5, 0.5)
    0.75
    """
    return float(np.float32(weight * own + (1.0 - weight) * fused))


def _followed(scored: Hits, hits: Sequence[Hit]) -> Hits:
    """``scored`` and behind them the hits that are not among them."""
    known = {hit.passage_id for hit in scored}
    rest = [hit.passage_id for hit in hits if hit.passage_id not in known]
    return (*scored, *(Hit(name, -float(place)) for place, name in enumerate(rest, start=1)))
