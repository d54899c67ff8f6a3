"""Logged questions again under a changed setting, from what the log holds as far as it goes.

A setting below retrieval (how many passages, how many tokens, without the reranker) is tried on the
logged lists; one that changes what is retrieved retrieves anew over the build that served. The
generator answers only where the context came out another one: elsewhere nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ragdiag.generation.generator import Generator, load_generator
from ragdiag.generation.steadfast import SteadfastGenerator
from ragdiag.metrics.answers import grade_answer
from ragdiag.metrics.ranking import score_ranking
from ragdiag.records import ContextPassage, Hit, Request
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
Ranking = tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question under a setting: METRIC and y (NaN where unknown or not asked), and the
    milliseconds of what was done anew for it."""

    metric: float
    y: float
    ms: float


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
        self._answered: dict[tuple[str, tuple[str, ...]], tuple[float, float]] = {}

    def retriever(self, spec: Spec) -> HybridRetriever:
        encoder = None if spec.embedder is None else load_question_encoder(spec.embedder)
        return HybridRetriever(self._index, spec, encoder)

    def run(self, spec: Spec, requests: Sequence[Request], answered: set[str]) -> list[Outcome]:
        """Of every request, in order; those whose id is ``answered`` get an answer too."""
        anew = (spec.candidates, spec.fusion) != (self._spec.candidates, self._spec.fusion)
        retriever = self.retriever(spec) if anew else None
        reranker = None if spec.reranker is None else Reranker(self._passages, spec.reranker)
        packer = Packer(self._passages, spec.context, load_tokenizer())
        outcomes = []
        for request in requests:
            spent: dict[str, float] = {}
            with timed(spent, "retrieval"):
                ranking = self._ranking(spec, request, retriever, reranker)
            y, ms = math.nan, 0.0
            if request.request_id in answered:
                y, ms = self._answer(request, packer.pack(ranking))
            scores = score_ranking(ranking, self._judgments.get(request.question_id or "", {}))
            outcomes.append(Outcome(scores[METRIC], y, spent["retrieval"] + ms))
        return outcomes

    def _ranking(
        self,
        spec: Spec,
        request: Request,
        retriever: HybridRetriever | None,
        reranker: Reranker | None,
    ) -> Ranking:
        if retriever is None:
            if spec.reranker == self._spec.reranker:
                return request.ranking
            fused = request.fused
        else:
            fused = retriever.retrieve(request.question, only=filter_of(request)).fused
        return fused if reranker is None else reranker.rerank(request.question, fused)

    def _answer(self, request: Request, context: tuple[ContextPassage, ...]) -> tuple[float, float]:
        """y and the milliseconds; each question is asked once with each context."""
        key = (request.request_id, tuple(f"{p.passage_id}\0{len(p.text)}" for p in context))
        if key not in self._answered:
            generator, spent = self._generator, dict[str, float]()  # loading is nobody's time
            with timed(spent, "generation"):
                answer = generator.answer(request.question, context)
            golds = self._golds.get(request.question_id or "")
            grade = grade_answer(request.request_id, answer.text, answer.status, golds)
            y = math.nan if grade.y is None else float(grade.y)
            self._answered[key] = (y, spent["generation"])
        return self._answered[key]

    @cached_property
    def _generator(self) -> Generator:
        return SteadfastGenerator(load_generator(self._spec.generator))
