"""One question through one version: retrieve, pack, generate; the request tells it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from ragdiag.errors import GenerationError, InputError
from ragdiag.generation.generator import Generator, load_generator
from ragdiag.identifiers import time_ordered_id
from ragdiag.records import (
    Answer,
    ContextHit,
    ContextPassage,
    Hit,
    Passage,
    Request,
    Retrieval,
    Traffic,
)
from ragdiag.retrieval.breaker import CircuitBreaker, Guard, Unavailable
from ragdiag.retrieval.builds import Index, build_ids, load_index
from ragdiag.retrieval.corrections import corrected
from ragdiag.retrieval.filters import STRANGER, PassageFilter, logged_filter
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.packing import Packer
from ragdiag.retrieval.rerank import open_reranker
from ragdiag.retrieval.serving import require_serving, serving_faults
from ragdiag.retrieval.text import load_tokenizer
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_build_passages
from ragdiag.store.lake import Lake
from ragdiag.store.results import find_build
from ragdiag.timing import timed
from ragdiag.version import DegradationSpec, Version

PRODUCTION_LOG_DEPTH = 10
"""How much of each ranked list a production request keeps (METHODS.md §1)."""


class Retriever(Protocol):
    def retrieve(self, question: str, *, only: PassageFilter = STRANGER) -> Retrieval: ...


class Reorderer(Protocol):
    def rerank(self, question: str, hits: Sequence[Hit]) -> tuple[Hit, ...]: ...


class ContextPacker(Protocol):
    def pack(self, hits: Sequence[Hit]) -> tuple[ContextPassage, ...]: ...
    def read(self, context: Sequence[ContextHit]) -> tuple[ContextPassage, ...]: ...


@dataclass(frozen=True, slots=True)
class Prompted:
    """What a question is answered from: what was found for ``only``, reranked or the reason why not
    (``late``), and packed; ``latency_ms`` by stage, their "total" among them."""

    question: str
    only: PassageFilter
    retrieval: Retrieval
    reranked: tuple[Hit, ...] | None
    late: str | None
    context: tuple[ContextPassage, ...]
    latency_ms: Mapping[str, float]


@dataclass(frozen=True)
class Pipeline:
    """A version ready to answer: its parts are loaded, ``build_id`` names the index they serve."""

    version: Version
    build_id: str
    retriever: Retriever
    packer: ContextPacker
    generator: Generator
    reranker: Reorderer | None = None
    guards: Mapping[str, Guard] = field(default_factory=dict)
    """By stage ("rerank", "generation"): stages that may fail without the answer failing."""

    def ask(
        self,
        question: str,
        *,
        question_id: str | None = None,
        topic: str = "",
        traffic: Traffic = "production",
        asked_at: datetime | None = None,
        request_id: str | None = None,
        log_depth: int | None = None,
        only: PassageFilter = STRANGER,
    ) -> Request:
        """Answer ``question`` and return the request as it is to be logged.

        A generator that fails makes a request with status ``error``, never an exception: the
        retrieval that it wasted is part of the diagnosis. ``log_depth`` cuts the logged lists.
        ``only`` says who asks, and what may be found for them.
        Raises InputError on an empty question.
        """
        return self.answer(
            self.prompt(question, only=only),
            question_id=question_id,
            topic=topic,
            traffic=traffic,
            asked_at=asked_at,
            request_id=request_id,
            log_depth=log_depth,
        )

    def prompt(self, question: str, *, only: PassageFilter = STRANGER) -> Prompted:
        """The first half of :meth:`ask`: all but the answer."""
        if not question.strip():
            raise InputError("the question is empty", remedy="ask something")
        latency: dict[str, float] = {}
        with timed(latency, "total"):
            retrieval = self.retriever.retrieve(question, only=only)
            reranked, late = self._rerank(question, retrieval.fused, latency)
            with timed(latency, "packing"):
                context = self.packer.pack(retrieval.fused if reranked is None else reranked)
        spent = {**retrieval.latency_ms, **latency}
        return Prompted(question, only, retrieval, reranked, late, context, spent)

    def answer(
        self,
        prompted: Prompted,
        *,
        question_id: str | None = None,
        topic: str = "",
        traffic: Traffic = "production",
        asked_at: datetime | None = None,
        request_id: str | None = None,
        log_depth: int | None = None,
    ) -> Request:
        """The second half of :meth:`ask`: the answer, and the request that tells of both."""
        retrieval, context = prompted.retrieval, prompted.context
        latency = dict(prompted.latency_ms)
        with timed(latency, "generation"):
            answer, dead = self._answer(prompted.question, context)
        latency["total"] += latency["generation"]
        reasons = [
            reason
            for reason in (retrieval.degraded_reason, prompted.late, dead, answer.degraded_reason)
            if reason
        ]
        return Request(
            request_id=request_id or time_ordered_id(),
            asked_at=asked_at or datetime.now(UTC),
            version_id=self.version.version_id,
            build_id=self.build_id,
            traffic=traffic,
            question=prompted.question,
            question_id=question_id,
            topic=topic,
            answer=answer.text,
            citations=answer.citations,
            status=answer.status,
            error=answer.error,
            degraded_reason="; ".join(reasons) or None,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            cost_usd=answer.cost_usd,
            latency_ms=latency,
            lexical=_cut(retrieval.lexical, log_depth),
            dense=_cut(retrieval.dense, log_depth),
            fused=retrieval.fused[:log_depth],
            reranked=_cut(prompted.reranked, log_depth),
            context=tuple(ContextHit(p.passage_id, p.score, len(p.text)) for p in context),
            searched_depth=retrieval.searched_depth,
            logged_depth=log_depth,
            **logged_filter(prompted.only),
        )

    def _rerank(
        self, question: str, hits: Sequence[Hit], latency: dict[str, float]
    ) -> tuple[tuple[Hit, ...] | None, str | None]:
        """The reranked list, or None and why there is none although there is a reranker."""
        reranker, guard = self.reranker, self.guards.get("rerank")
        if reranker is None:
            return None, None
        try:
            with timed(latency, "rerank"):
                if guard is None:
                    return reranker.rerank(question, hits), None
                return guard.call(lambda: reranker.rerank(question, hits)), None
        except Unavailable as error:
            return None, str(error)

    def _answer(
        self, question: str, context: Sequence[ContextPassage]
    ) -> tuple[Answer, str | None]:
        """An answer, or what stands for one and why.

        The passages that stand for an answer keep the status ``error``: whoever reads them must
        not take them for what the generator said, nor grade them as that.
        """
        guard = self.guards.get("generation")
        try:
            if guard is None:
                return self.generator.answer(question, context), None
            return guard.call(lambda: self.generator.answer(question, context)), None
        except GenerationError as error:
            return self._failed(str(error)), None
        except Unavailable as error:
            text = "\n\n".join(passage.text for passage in context)
            cited = tuple(passage.passage_id for passage in context)
            failed = self._failed(error.cause or str(error))
            return replace(failed, text=text, citations=cited), str(error)

    def _failed(self, error: str) -> Answer:
        return Answer(text="", status="error", error=error, model=self.generator.name)

    def with_parts(
        self,
        *,
        retriever: Retriever | None = None,
        packer: ContextPacker | None = None,
        generator: Generator | None = None,
    ) -> Pipeline:
        """The same version served by other parts: how a fault in operation looks from outside.

        Another generator is not guarded: whoever exchanges it wants to see it fail.
        """
        kept = {stage: guard for stage, guard in self.guards.items() if stage != "generation"}
        return replace(
            self,
            guards=self.guards if generator is None else kept,
            retriever=retriever or self.retriever,
            packer=packer or self.packer,
            generator=generator or self.generator,
        )


def open_pipeline(
    lake: Lake, workspace: Workspace, version: Version, build_id: str | None = None
) -> Pipeline:
    """Load every part of ``version`` over the index build that serves it, or over the build named.

    Raises UnknownName where there is no build yet, IndexFault where it is damaged, ModelError
    where weights are missing.
    """
    if build_id is None:
        serving = require_serving(lake, workspace, version)
        with serving_faults(workspace, version):
            return _open_over(lake, workspace, version, serving)
    return _open_over(lake, workspace, version, find_build(lake, build_id).build_id)


def _open_over(lake: Lake, workspace: Workspace, version: Version, build_id: str) -> Pipeline:
    spec = version.spec
    index, passages = _searched(lake, workspace, version, build_id)
    return Pipeline(
        version=version,
        build_id=build_id,
        retriever=HybridRetriever(index, spec),
        reranker=(
            None if spec.reranker is None else open_reranker(passages, spec.reranker, workspace)
        ),
        packer=Packer(passages, spec.context, load_tokenizer()),
        generator=load_generator(spec.generator),
        guards=_guards(spec.degradation),
    )


def serving_index(lake: Lake, workspace: Workspace, version: Version) -> Index:
    """The index that serves ``version``, which finds what the pipeline finds: nothing that has left
    the corpus or been restricted since it was built. Raises as :func:`open_pipeline`."""
    return serving_parts(lake, workspace, version)[0]


def serving_parts(
    lake: Lake, workspace: Workspace, version: Version
) -> tuple[Index, dict[str, Passage]]:
    """As :func:`serving_index` and :func:`serving_passages`, of one build."""
    serving = require_serving(lake, workspace, version)
    with serving_faults(workspace, version):
        return _searched(lake, workspace, version, serving)


def serving_passages(lake: Lake, workspace: Workspace, version: Version) -> dict[str, Passage]:
    """The passages of the index that serves ``version``, as they were indexed."""
    serving = require_serving(lake, workspace, version)
    with serving_faults(workspace, version):
        return _passages(lake, workspace, serving)


def _searched(
    lake: Lake, workspace: Workspace, version: Version, build_id: str
) -> tuple[Index, dict[str, Passage]]:
    index = load_index(workspace, build_id, version.spec)
    passages = _passages(lake, workspace, build_id)
    return corrected(lake, index, passages), passages


def _passages(lake: Lake, workspace: Workspace, build_id: str) -> dict[str, Passage]:
    found = load_build_passages(lake, build_ids(workspace, build_id))
    return {passage.passage_id: passage for passage in found}


def _guards(spec: DegradationSpec | None) -> dict[str, Guard]:
    if spec is None:
        return {}
    return {
        stage: Guard(stage, None, CircuitBreaker(spec.failures, spec.retry_s))
        for stage in ("rerank", "generation")
    }


def _cut(hits: tuple[Hit, ...] | None, depth: int | None) -> tuple[Hit, ...] | None:
    return None if hits is None else hits[:depth]
