"""The pipeline with toy parts: what is logged, what is timed, what a failure leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ragdiag.errors import InputError, ProviderUnreachable
from ragdiag.pipeline import Pipeline
from ragdiag.records import Answer, ContextPassage, Hit, Retrieval
from ragdiag.retrieval.breaker import CircuitBreaker, Guard, Unavailable
from ragdiag.retrieval.filters import STRANGER, PassageFilter
from ragdiag.version import Version, parse_spec

VERSION = Version("toy", parse_spec("[lexical]\n[generator]\nkind='extractive'", source="toy"))
HITS = tuple(Hit(f"p{rank}", 1.0 / rank) for rank in range(1, 21))


class Shelf:
    def retrieve(self, question: str, *, only: PassageFilter = STRANGER) -> Retrieval:
        return Retrieval(HITS, lexical=HITS, latency_ms={"lexical": 1.0}, searched_depth=100)


class FirstTwo:
    def pack(self, hits: Sequence[Hit]) -> tuple[ContextPassage, ...]:
        return tuple(ContextPassage(hit.passage_id, "text", score=hit.score) for hit in hits[:2])


class Echo:
    name = "echo"

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        return Answer(question, citations=tuple(p.passage_id for p in context), prompt_tokens=3)


class Hanging:
    name = "hanging"

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        raise ProviderUnreachable("no answer in 1 s", remedy="is the server up?")


def pipeline(generator: Echo | Hanging) -> Pipeline:
    return Pipeline(VERSION, "b1", Shelf(), FirstTwo(), generator)


def test_a_request_tells_every_stage() -> None:
    asked_at = datetime(2026, 1, 5, tzinfo=UTC)
    request = pipeline(Echo()).ask(
        "Why?", question_id="q1", topic="t", traffic="evaluation", asked_at=asked_at, request_id="r"
    )
    assert (request.request_id, request.version_id, request.build_id) == (
        "r",
        VERSION.version_id,
        "b1",
    )
    assert (request.asked_at, request.question_id, request.topic) == (asked_at, "q1", "t")
    assert (request.answer, request.citations, request.prompt_tokens) == ("Why?", ("p1", "p2"), 3)
    assert request.fused == HITS
    assert request.dense is None
    assert request.logged_depth is None
    assert [hit.chars for hit in request.context] == [4, 4]
    assert request.latency_ms.keys() == {"lexical", "packing", "generation", "total"}
    assert request.latency_ms["total"] >= request.latency_ms["generation"]


def test_production_logs_the_head_of_each_list_and_says_so() -> None:
    request = pipeline(Echo()).ask("Why?", log_depth=10)
    assert request.fused == HITS[:10]
    assert request.lexical == HITS[:10]
    assert (request.logged_depth, request.searched_depth) == (10, 100)


def test_a_generator_that_fails_still_leaves_a_request() -> None:
    request = pipeline(Hanging()).ask("Why?")
    assert request.status == "error"
    assert request.error == "no answer in 1 s; is the server up?"
    assert request.fused == HITS


def test_an_empty_question_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        pipeline(Echo()).ask("  \n")


class Reversed:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def rerank(self, question: str, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        if self.error is not None:
            raise self.error
        return tuple(reversed(hits))


def guards(failures: int = 5) -> dict[str, Guard]:
    return {
        stage: Guard(stage, None, CircuitBreaker(failures, retry_s=60))
        for stage in ("rerank", "generation")
    }


def test_the_context_is_packed_from_the_reranked_list() -> None:
    request = replace(pipeline(Echo()), reranker=Reversed()).ask("Why?", log_depth=3)
    assert request.reranked == HITS[:-4:-1]
    assert request.ranking == request.reranked
    assert request.citations == ("p20", "p19")
    assert "rerank" in request.latency_ms


def test_a_reranker_that_is_late_is_left_out_and_the_request_says_so() -> None:
    late = Reversed(Unavailable("rerank: over its budget of 5 ms"))
    request = replace(pipeline(Echo()), reranker=late).ask("Why?")
    assert (request.reranked, request.citations) == (None, ("p1", "p2"))
    assert request.degraded_reason == "rerank: over its budget of 5 ms"
    assert "rerank" not in request.latency_ms


def test_a_reranker_that_fails_is_a_failure_unless_it_is_guarded() -> None:
    broken = replace(pipeline(Echo()), reranker=Reversed(RuntimeError("out of memory")))
    with pytest.raises(RuntimeError):
        broken.ask("Why?")
    request = replace(broken, guards=guards()).ask("Why?")
    assert (request.status, request.degraded_reason) == ("ok", "rerank: RuntimeError")


def test_a_dead_generator_that_is_guarded_yields_the_passages() -> None:
    guarded = replace(pipeline(Hanging()), guards=guards(failures=2))
    for reason in ("ProviderUnreachable", "ProviderUnreachable", "left alone after failures"):
        request = guarded.ask("Why?")
        assert (request.status, request.answer) == ("error", "text\n\ntext")
        assert request.citations == ("p1", "p2")
        assert request.degraded_reason is not None
        assert request.degraded_reason.startswith(f"generation: {reason}")
        assert request.error == "no answer in 1 s; is the server up?"
    shown = guarded.with_parts(generator=Hanging()).ask("Why?")
    assert (shown.answer, shown.degraded_reason) == ("", None)
