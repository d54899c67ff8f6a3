"""Logged questions again under a changed setting, from what the log holds as far as it goes.

A setting below retrieval (how many passages, how many tokens, without the reranker) is tried on the
logged lists; one that changes what is retrieved retrieves anew over the build that served. The
generator answers only where the context came out another one: elsewhere nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache

from ragdiag.generation.generator import Generator, load_generator
from ragdiag.generation.steadfast import SteadfastGenerator
from ragdiag.metrics.answers import grade_answer
from ragdiag.metrics.ranking import score_ranking
from ragdiag.records import ContextPassage, Hit, Passage, Request
from ragdiag.retrieval.builds import Index, build_ids, load_index
from ragdiag.retrieval.embed import load_question_encoder
from ragdiag.retrieval.filters import filter_of
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.packing import Packer
from ragdiag.retrieval.rerank import Reranker
from ragdiag.retrieval.text import load_tokenizer
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_build_passages
from ragdiag.store.lake import Lake
from ragdiag.timing import timed
from ragdiag.version import Spec

METRIC = "MRR@10"
WARM_UP = 3
"""Questions searched before any is timed: the first search of an index pays for opening it."""
Ranking = tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question under a setting: METRIC and y (NaN where unknown or not asked), the milliseconds
    of what was done anew to find its passages and to answer, and the answer's bill in US dollars
    (NaN where it has no price)."""

    metric: float
    y: float
    found_ms: float
    answered_ms: float = 0.0
    usd: float = math.nan


@dataclass(frozen=True, slots=True)
class _Answered:
    y: float
    ms: float
    usd: float


class WhatIf:
    """Settings of one spec, tried on requests that one build served. Raises IndexFault, ModelError
    where that build or a model is missing."""

    def __init__(
        self,
        lake: Lake,
        workspace: Workspace,
        spec: Spec,
        build_id: str,
        judgments: Mapping[str, Mapping[str, int]],
        golds: Mapping[str, Sequence[str]],
    ) -> None:
        self._spec, self._judgments, self._golds = spec, judgments, golds
        self._index: Index = load_index(workspace, build_id, spec)
        found = load_build_passages(lake, build_ids(workspace, build_id))
        self._passages = {passage.passage_id: passage for passage in found}
        self._logged = True
        self._generator: Callable[[], Generator] = cache(
            lambda: SteadfastGenerator(load_generator(spec.generator))
        )
        self._answered: dict[tuple[str, tuple[str, ...]], _Answered] = {}

    @property
    def passages(self) -> list[Passage]:
        """What the build holds, by document and place in it."""
        return sorted(
            self._passages.values(), key=lambda one: (one.document_id, one.position, one.passage_id)
        )

    def over(self, index: Index, passages: Iterable[Passage]) -> WhatIf:
        """The same, with the same generator, over another ``index``: the logged lists and the
        judgments are not of its ``passages``, so all is retrieved anew and METRIC is undefined."""
        other = copy(self)
        other._index, other._judgments = index, {}
        other._passages = {passage.passage_id: passage for passage in passages}
        other._logged, other._answered = False, {}
        return other

    def retriever(self, spec: Spec) -> HybridRetriever:
        encoder = None if spec.embedder is None else load_question_encoder(spec.embedder)
        return HybridRetriever(self._index, spec, encoder)

    def run(self, spec: Spec, requests: Sequence[Request], answered: set[str]) -> list[Outcome]:
        """Of every request, in order; those whose id is ``answered`` get an answer too."""
        retriever = self.retriever(spec) if self._anew(spec) else None
        reranker = None if spec.reranker is None else Reranker(self._passages, spec.reranker)
        as_logged = retriever is None and spec.reranker == self._spec.reranker
        packer = Packer(self._passages, spec.context, load_tokenizer())
        if retriever is not None:
            self._warm(requests, retriever)
        outcomes = []
        for request in requests:
            spent: dict[str, float] = {}
            with timed(spent, "found"):
                ranking = request.ranking if as_logged else _find(request, retriever, reranker)
            told = _Answered(math.nan, 0.0, math.nan)
            if request.request_id in answered:
                told = self._answer(request, packer.pack(ranking))
            scores = score_ranking(ranking, self._judgments.get(request.question_id or "", {}))
            outcomes.append(Outcome(scores[METRIC], told.y, spent["found"], told.ms, told.usd))
        return outcomes

    def searched_ms(self, requests: Sequence[Request]) -> list[float]:
        """What the spec's own retrieval and reranking take here and now, to hold other settings
        against; the log's own times are another machine's, or another hour's."""
        retriever = self.retriever(self._spec)
        self._warm(requests, retriever)
        return self._found_ms(requests, retriever)

    def reranked_ms(self, requests: Sequence[Request]) -> list[float]:
        """As :meth:`searched_ms`, of reranking the logged candidates alone."""
        return self._found_ms(requests, None)

    def _found_ms(
        self, requests: Sequence[Request], retriever: HybridRetriever | None
    ) -> list[float]:
        own = self._spec.reranker
        reranker = None if own is None else Reranker(self._passages, own)
        times = []
        for request in requests:
            spent: dict[str, float] = {}
            with timed(spent, "found"):
                _find(request, retriever, reranker)
            times.append(spent["found"])
        return times

    def _anew(self, spec: Spec) -> bool:
        same = (spec.candidates, spec.fusion) == (self._spec.candidates, self._spec.fusion)
        return not (same and self._logged)

    def _warm(self, requests: Sequence[Request], retriever: HybridRetriever) -> None:
        for request in requests[:WARM_UP]:
            _find(request, retriever, None)

    def _answer(self, request: Request, context: tuple[ContextPassage, ...]) -> _Answered:
        """Each question is asked once with each context."""
        key = (request.request_id, tuple(f"{p.passage_id}\0{len(p.text)}" for p in context))
        if key not in self._answered:
            generator, spent = self._generator(), dict[str, float]()  # loading is nobody's time
            with timed(spent, "generation"):
                answer = generator.answer(request.question, context)
            golds = self._golds.get(request.question_id or "")
            grade = grade_answer(request.request_id, answer.text, answer.status, golds)
            y = math.nan if grade.y is None else float(grade.y)
            usd = math.nan if answer.cost_usd is None else answer.cost_usd
            self._answered[key] = _Answered(y, spent["generation"], usd)
        return self._answered[key]


def _find(
    request: Request, retriever: HybridRetriever | None, reranker: Reranker | None
) -> Ranking:
    """The list before packing; from the logged candidates without a ``retriever``."""
    fused = request.fused
    if retriever is not None:
        fused = retriever.retrieve(request.question, only=filter_of(request)).fused
    return fused if reranker is None else reranker.rerank(request.question, fused)
