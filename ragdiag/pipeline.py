"""One question through one version: retrieve, pack, generate; the request tells it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    Request,
    Retrieval,
    Traffic,
)
from ragdiag.retrieval.builds import build_ids, load_index
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.packing import Packer
from ragdiag.retrieval.serving import require_serving, serving_faults
from ragdiag.retrieval.text import load_tokenizer
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_build_passages
from ragdiag.store.lake import Lake
from ragdiag.store.results import find_build
from ragdiag.timing import timed
from ragdiag.version import Version

PRODUCTION_LOG_DEPTH = 10
"""How much of each ranked list a production request keeps (METHODS.md §1)."""


class Retriever(Protocol):
    def retrieve(self, question: str) -> Retrieval: ...


class ContextPacker(Protocol):
    def pack(self, hits: Sequence[Hit]) -> tuple[ContextPassage, ...]: ...


@dataclass(frozen=True)
class Pipeline:
    """A version ready to answer: its parts are loaded, ``build_id`` names the index they serve."""

    version: Version
    build_id: str
    retriever: Retriever
    packer: ContextPacker
    generator: Generator

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
    ) -> Request:
        """Answer ``question`` and return the request as it is to be logged.

        A generator that fails makes a request with status ``error``, never an exception: the
        retrieval that it wasted is part of the diagnosis. ``log_depth`` cuts the logged lists.
        Raises InputError on an empty question.
        """
        if not question.strip():
            raise InputError("the question is empty", remedy="ask something")
        latency: dict[str, float] = {}
        with timed(latency, "total"):
            retrieval = self.retriever.retrieve(question)
            with timed(latency, "packing"):
                context = self.packer.pack(retrieval.fused)
            with timed(latency, "generation"):
                answer = _answer(self.generator, question, context)
        return Request(
            request_id=request_id or time_ordered_id(),
            asked_at=asked_at or datetime.now(UTC),
            version_id=self.version.version_id,
            build_id=self.build_id,
            traffic=traffic,
            question=question,
            question_id=question_id,
            topic=topic,
            answer=answer.text,
            citations=answer.citations,
            status=answer.status,
            error=answer.error,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            cost_usd=answer.cost_usd,
            latency_ms={**retrieval.latency_ms, **latency},
            lexical=_cut(retrieval.lexical, log_depth),
            dense=_cut(retrieval.dense, log_depth),
            fused=retrieval.fused[:log_depth],
            context=tuple(ContextHit(p.passage_id, p.score, len(p.text)) for p in context),
            searched_depth=retrieval.searched_depth,
            logged_depth=log_depth,
        )

    def with_parts(
        self,
        *,
        retriever: Retriever | None = None,
        packer: ContextPacker | None = None,
        generator: Generator | None = None,
    ) -> Pipeline:
        """The same version served by other parts: how a fault in operation looks from outside."""
        return replace(
            self,
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
        with serving_faults(version):
            return _open_over(lake, workspace, version, require_serving(lake, workspace, version))
    return _open_over(lake, workspace, version, find_build(lake, build_id).build_id)


def _open_over(lake: Lake, workspace: Workspace, version: Version, build_id: str) -> Pipeline:
    index = load_index(workspace, build_id, version.spec)
    passages = load_build_passages(lake, build_ids(workspace, build_id))
    return Pipeline(
        version=version,
        build_id=build_id,
        retriever=HybridRetriever(index, version.spec),
        packer=Packer(
            {passage.passage_id: passage for passage in passages},
            version.spec.context,
            load_tokenizer(),
        ),
        generator=load_generator(version.spec.generator),
    )


def context_of(request: Request, texts: Mapping[str, str]) -> tuple[ContextPassage, ...]:
    """What the prompt held, from the logged hits and the passages' texts; unknown ones are left
    out."""
    return tuple(
        ContextPassage(hit.passage_id, texts[hit.passage_id][: hit.chars], score=hit.score)
        for hit in request.context
        if hit.passage_id in texts
    )


def _answer(generator: Generator, question: str, context: Sequence[ContextPassage]) -> Answer:
    try:
        return generator.answer(question, context)
    except GenerationError as error:
        return Answer(text="", status="error", error=str(error), model=generator.name)


def _cut(hits: tuple[Hit, ...] | None, depth: int | None) -> tuple[Hit, ...] | None:
    return None if hits is None else hits[:depth]
