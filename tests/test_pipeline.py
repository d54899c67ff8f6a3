"""The pipeline with toy parts: what is logged, what is timed, what a failure leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from ragdiag.errors import InputError, ProviderUnreachable
from ragdiag.pipeline import Pipeline, context_of
from ragdiag.records import Answer, ContextPassage, Hit, Retrieval
from ragdiag.version import Version, parse_spec

VERSION = Version("toy", parse_spec("[lexical]\n[generator]\nkind='extractive'", source="toy"))
HITS = tuple(Hit(f"p{rank}", 1.0 / rank) for rank in range(1, 21))


class Shelf:
    def retrieve(self, question: str) -> Retrieval:
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


def test_the_prompt_can_be_read_back_from_the_log() -> None:
    request = pipeline(Echo()).ask("Why?")
    read = context_of(request, {"p1": "text and what was cut"})
    assert [(passage.passage_id, passage.text) for passage in read] == [("p1", "text")]
