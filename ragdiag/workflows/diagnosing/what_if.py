"""Logged questions again under a changed setting, from what the log holds as far as it goes.

A setting below retrieval (how many passages, how many tokens, without the reranker) is tried on the
logged lists; one that changes what is retrieved retrieves anew over the build that served. The
generator answers only where the context came out another one: elsewhere nothing changes.

Times are those of a service that has run for a while, under every setting alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache

from ragdiag.diagnosis.budget import Price
from ragdiag.generation.generator import Generator, load_generator
from ragdiag.generation.steadfast import SteadfastGenerator
from ragdiag.metrics.answers import grade_answer
from ragdiag.metrics.ranking import score_ranking
from ragdiag.progress import Progress, report
from ragdiag.records import ContextPassage, Hit, Passage, Request
from ragdiag.retrieval.builds import Index, build_ids, load_index
from ragdiag.retrieval.embed import load_question_encoder
from ragdiag.retrieval.filters import filter_of
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.packing import Packer
from ragdiag.retrieval.rerank import Reranker, Scorer, load_scorer
from ragdiag.retrieval.text import load_tokenizer
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_build_passages
from ragdiag.store.lake import Lake
from ragdiag.timing import timed
from ragdiag.version import ExtractiveSpec, RerankerSpec, Spec

METRIC = "MRR@10"
WARM_UP = 3
"""Questions searched and reranked before any is timed: the first one pays for opening things."""
Ranking = tuple[Hit, ...]
Prompt = tuple[str, tuple[tuple[str, str], ...]]
"""A request's id, and what its prompt holds."""


@dataclass(frozen=True, slots=True)
class Found:
    """One question under a setting before it is answered: METRIC, the milliseconds of what was done
    anew to find its passages, and what goes into the prompt; None where it is not to be asked."""

    metric: float
    ms: float
    context: tuple[ContextPassage, ...] | None

    @property
    def prompted(self) -> tuple[tuple[str, str], ...]:
        """Ids and texts of the context, in order: what a generator's answer hangs on."""
        return tuple((one.passage_id, one.text) for one in self.context or ())


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
        self._workspace = workspace
        self._scorers: dict[tuple[str | int | None, ...], Scorer] = {}
        self._logged = True
        self._generator: Callable[[], Generator] = cache(
            lambda: SteadfastGenerator(load_generator(spec.generator))
        )
        self._answered: dict[Prompt, _Answered] = {}

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
        other._logged, other._scorers = False, {}
        return other

    def retriever(self, spec: Spec) -> HybridRetriever:
        encoder = None if spec.embedder is None else load_question_encoder(spec.embedder)
        return HybridRetriever(self._index, spec, encoder)

    def _reranker(self, spec: RerankerSpec | None) -> Reranker | None:
        return None if spec is None else Reranker(self._passages, spec, self._scorer(spec))

    def _scorer(self, spec: RerankerSpec) -> Scorer:
        """Its model is loaded once, whatever depth and weight are tried."""
        key = (spec.kind, spec.model, spec.adapter, spec.question_adapter, spec.max_tokens)
        if key not in self._scorers:
            self._scorers[key] = load_scorer(self._passages, spec, self._workspace)
        return self._scorers[key]

    def logits(self, spec: RerankerSpec, request: Request) -> list[float]:
        """What a reranker says of the logged candidates, as far as it reads."""
        found = Reranker(self._passages, spec, self._scorer(spec))
        return found.logits(request.question, request.fused)

    def find(self, spec: Spec, requests: Sequence[Request], to_answer: set[str]) -> list[Found]:
        """Of every request, in order; those whose id is in ``to_answer`` are to be asked."""
        retriever = self.retriever(spec) if self._anew(spec) else None
        reranker = self._reranker(spec.reranker)
        as_logged = retriever is None and spec.reranker == self._spec.reranker
        packer = Packer(self._passages, spec.context, load_tokenizer())
        if not as_logged:
            _warm(requests, retriever, reranker)
        found = []
        for request in requests:
            spent: dict[str, float] = {}
            with timed(spent, "found"):
                ranking = request.ranking if as_logged else _find(request, retriever, reranker)
            context = packer.pack(ranking) if request.request_id in to_answer else None
            scores = score_ranking(ranking, self._judgments.get(request.question_id or "", {}))
            found.append(Found(scores[METRIC], spent["found"], context))
        return found

    def answer(
        self,
        requests: Sequence[Request],
        settings: Sequence[Sequence[Found]],
        progress: Progress | None = None,
    ) -> list[list[Outcome]]:
        """What each of ``settings`` makes of the ``requests``. They take turns at being asked
        first: a server that keeps the start of a prompt answers the next one sooner."""
        told: list[list[Outcome]] = [[] for _ in settings]
        for number, request in enumerate(requests):
            first = number % len(settings)
            for place in (*range(first, len(settings)), *range(first)):
                told[place].append(self._outcome(request, settings[place][number]))
            report(progress, (number + 1) / len(requests), f"answered {number + 1} questions")
        return told

    def searched_ms(self, requests: Sequence[Request]) -> list[float]:
        """What the spec's own retrieval and reranking take here and now, to hold other settings
        against; the log's own times are another machine's, or another hour's."""
        return self._found_ms(requests, self.retriever(self._spec))

    def reranked_ms(self, requests: Sequence[Request]) -> list[float]:
        """As :meth:`searched_ms`, of reranking the logged candidates alone."""
        return self._found_ms(requests, None)

    def _found_ms(
        self, requests: Sequence[Request], retriever: HybridRetriever | None
    ) -> list[float]:
        reranker = self._reranker(self._spec.reranker)
        _warm(requests, retriever, reranker)
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

    def _outcome(self, request: Request, found: Found) -> Outcome:
        if found.context is None:
            return Outcome(found.metric, math.nan, found.ms)
        told = self._answer(request, found.context, (request.request_id, found.prompted))
        return Outcome(found.metric, told.y, found.ms, told.ms, told.usd)

    def _answer(
        self, request: Request, context: tuple[ContextPassage, ...], key: Prompt
    ) -> _Answered:
        """Each question is timed once with each context."""
        if key not in self._answered:
            generator, spent = self._generator(), dict[str, float]()  # loading is nobody's time
            if self._asks_twice():
                generator.answer(request.question, context)
            with timed(spent, "generation"):
                answer = generator.answer(request.question, context)
            golds = self._golds.get(request.question_id or "")
            grade = grade_answer(request.request_id, answer.text, answer.status, golds)
            y = math.nan if grade.y is None else float(grade.y)
            usd = math.nan if answer.cost_usd is None else answer.cost_usd
            self._answered[key] = _Answered(y, spent["generation"], usd)
        return self._answered[key]

    def _asks_twice(self) -> bool:
        """Whether an answer nobody times comes first. An extractive one leaves the vectors of its
        sentences behind, so that else whoever asks first would pay for all; of other generators
        the very first answer may load a model, and is had again where it costs nothing."""
        spec = self._spec.generator
        first = not self._answered and Price.of(spec) is None
        return first or isinstance(spec, ExtractiveSpec)


def _warm(
    requests: Sequence[Request], retriever: HybridRetriever | None, reranker: Reranker | None
) -> None:
    for request in requests[:WARM_UP]:
        _find(request, retriever, reranker)


def _find(
    request: Request, retriever: HybridRetriever | None, reranker: Reranker | None
) -> Ranking:
    """The list before packing; from the logged candidates without a ``retriever``."""
    fused = request.fused
    if retriever is not None:
        fused = retriever.retrieve(request.question, only=filter_of(request)).fused
    return fused if reranker is None else reranker.rerank(request.question, fused)
