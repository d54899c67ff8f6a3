"""One question through the cache and a pipeline, as the request that is to be logged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter

from ragdiag.caching.answers import Scope, repeat_answer
from ragdiag.errors import InputError
from ragdiag.identifiers import time_ordered_id
from ragdiag.pipeline import PRODUCTION_LOG_DEPTH, Pipeline
from ragdiag.records import Request, Retrieval, Traffic
from ragdiag.retrieval.filters import STRANGER, PassageFilter, logged_filter
from ragdiag.retrieval.hybrid import Embedding, HybridRetriever
from ragdiag.retrieval.lexical import tokenise
from ragdiag.serve.fleet import Served, without_answers
from ragdiag.version import Spec


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it arrived; latencies count from ``arrived``, so waiting in line is in them."""

    question: str
    user: str | None = None
    topic: str = ""
    tenant: str | None = None
    roles: frozenset[str] = frozenset()
    question_id: str | None = None
    request_id: str = field(default_factory=time_ordered_id)
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    arrived: float = field(default_factory=perf_counter)

    @property
    def key(self) -> str:
        """Who stays on one side of a canary: the user, or else the request."""
        return self.user or self.request_id

    @property
    def only(self) -> PassageFilter:
        return PassageFilter(self.tenant, self.roles)

    @property
    def waited_ms(self) -> float:
        return (perf_counter() - self.arrived) * 1e3


def answer(served: Served, asked: Asked, traffic: Traffic) -> Request:
    """From the cache where it may be, else anew. Raises InputError for a question that the version
    cannot look for, and as :meth:`Pipeline.ask` does."""
    _refuse_unsearchable(asked.question, served.version.spec)
    cache = served.cache
    if cache is None:
        return _anew(served.pipeline, asked, traffic)
    pipeline = served.pipeline
    scope = Scope(pipeline.version.version_id, pipeline.build_id, asked.tenant, asked.roles)
    embedding = vector = None
    kept = cache.find(scope, asked.question)
    if kept is None and cache.needs_vectors:
        assert isinstance(pipeline.retriever, HybridRetriever)
        embedding = pipeline.retriever.embed(asked.question)
        pipeline = pipeline.with_parts(retriever=_Embedded(pipeline.retriever, embedding))
        vector = None if embedding is None else embedding.vector
        kept = cache.find(scope, asked.question, vector)
    if kept is None:
        request = _anew(pipeline, asked, traffic)
        cache.keep(scope, request, vector, asked.user)
        return request
    spent = {} if embedding is None else {"embed": embedding.ms}
    return repeat_answer(
        kept,
        question=asked.question,
        question_id=asked.question_id,
        request_id=asked.request_id,
        asked_at=asked.asked_at,
        traffic=traffic,
        topic=asked.topic,
        latency_ms={**spent, "total": asked.waited_ms},
    )


def search(served: Served, asked: Asked) -> Request:
    """The ranked lists alone, whole, with no answer. Raises as :func:`answer` does."""
    _refuse_unsearchable(asked.question, served.version.spec)
    request = without_answers(served.pipeline).ask(
        asked.question, request_id=asked.request_id, only=asked.only
    )
    return _since_arrival(request, asked)


def failed(served: Served, asked: Asked, traffic: Traffic, error: str) -> Request:
    """What is logged of a question that got no answer."""
    return Request(
        request_id=asked.request_id,
        asked_at=asked.asked_at,
        version_id=served.version.version_id,
        build_id=served.pipeline.build_id,
        traffic=traffic,
        question=asked.question,
        question_id=asked.question_id,
        topic=asked.topic,
        status="error",
        error=error,
        latency_ms={"total": asked.waited_ms},
        **logged_filter(asked.only),
    )


def _anew(pipeline: Pipeline, asked: Asked, traffic: Traffic) -> Request:
    request = pipeline.ask(
        asked.question,
        question_id=asked.question_id,
        topic=asked.topic,
        traffic=traffic,
        asked_at=asked.asked_at,
        request_id=asked.request_id,
        log_depth=PRODUCTION_LOG_DEPTH,
        only=asked.only,
    )
    return _since_arrival(request, asked)


def _since_arrival(request: Request, asked: Asked) -> Request:
    return replace(request, latency_ms={**request.latency_ms, "total": asked.waited_ms})


def _refuse_unsearchable(question: str, spec: Spec) -> None:
    lexical = spec.lexical
    if spec.embedder is None and lexical and not tokenise(question, lexical.stopwords):
        raise InputError(
            "every word of the question is one letter long or in nearly every text",
            remedy="ask with a rarer word of two letters or more",
        )


class _Embedded:
    """A retriever that is given the question's vector, which the cache has asked for already."""

    def __init__(self, retriever: HybridRetriever, embedding: Embedding | None) -> None:
        self._retriever, self._embedding = retriever, embedding

    def retrieve(self, question: str, *, only: PassageFilter = STRANGER) -> Retrieval:
        return self._retriever.retrieve(question, only=only, embedding=self._embedding)
