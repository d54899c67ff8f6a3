"""Traces as requests: the conventions old and new, and the shapes that services really send."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.records import ContextHit, Hit, Passage, Request, Span
from ragdiag.spans.documents import LONGEST, text_id
from ragdiag.spans.otlp_json import spans_from_otlp_json
from ragdiag.spans.traces import NO_QUESTION, TraceRecords, read_trace
from ragdiag.store.kinds import record_to_json
from ragdiag.store.lines import parse_line

from .conftest import NOW, START, TRACE

MakeSpan = Callable[..., dict[str, Any]]
AsSpans = Callable[..., list[Span]]

CATS = "Cats sleep about fifteen hours a day, mostly in the afternoon."
DOGS = "Dogs were tamed from wolves, and hear twice as well as people do."


def openinference_documents(
    prefix: str, *documents: tuple[str | None, str, float]
) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for number, (identifier, text, score) in enumerate(documents):
        start = f"{prefix}.{number}.document."
        flat |= {f"{start}content": text, f"{start}score": score}
        if identifier:
            flat[f"{start}id"] = identifier
    return flat


def request_of(records: TraceRecords) -> Request:
    assert records.rejects == ()
    (request,) = records.requests
    return request


def test_openinference_chain(make_span: MakeSpan, as_spans: AsSpans) -> None:
    spans = as_spans(
        make_span(
            1,
            ms=100,
            attributes={
                "openinference.span.kind": "CHAIN",
                "input.value": json.dumps({"question": "How long do cats sleep?"}),
                "output.value": json.dumps({"answer": "Fifteen hours.", "sources": []}),
                "metadata": json.dumps({"topic": "animals", "traffic": "canary"}),
                "user.id": "jane@example.org",
            },
        ),
        make_span(
            2,
            1,
            at=1,
            ms=20,
            name="VectorStoreRetriever",
            attributes={
                "openinference.span.kind": "RETRIEVER",
                "input.value": "cats sleep",
                **openinference_documents(
                    "retrieval.documents", ("c1", CATS, 0.9), (None, DOGS, 0.4)
                ),
                "retrieval.documents.0.document.metadata": json.dumps(
                    {"source": "cats.md", "title": "Cats", "chunk_index": 3}
                ),
            },
        ),
        make_span(3, 2, at=2, ms=5, attributes={"openinference.span.kind": "EMBEDDING"}),
        make_span(
            4,
            1,
            at=25,
            ms=5,
            attributes={
                "openinference.span.kind": "RERANKER",
                "reranker.query": "cats sleep",
                **openinference_documents("reranker.output_documents", ("c1", CATS, 3.5)),
            },
        ),
        make_span(
            5,
            1,
            at=40,
            ms=50,
            attributes={
                "openinference.span.kind": "LLM",
                "llm.input_messages.0.message.role": "user",
                "llm.input_messages.0.message.content": f"{CATS}\n\nHow long do cats sleep?",
                "llm.output_messages.0.message.content": "Fifteen hours.",
                "llm.token_count.prompt": 80,
                "llm.token_count.completion": 5,
                "llm.cost.total": 0.002,
            },
        ),
        resource={"service.name": "helpdesk", "service.version": "2.1"},
    )
    records = read_trace(spans, user_key=lambda user: f"key of {len(user)}")
    dogs = text_id(DOGS)
    assert request_of(records) == Request(
        request_id=TRACE,
        asked_at=NOW,
        version_id="2.1",
        traffic="canary",
        question="How long do cats sleep?",
        topic="animals",
        user_key="key of 16",
        answer="Fifteen hours.",
        prompt_tokens=80,
        completion_tokens=5,
        cost_usd=0.002,
        latency_ms={
            "embed": 5.0,
            "dense": 15.0,
            "rerank": 5.0,
            "generation": 50.0,
            "total": 100.0,
        },
        dense=(Hit("c1", 0.9), Hit(dogs, 0.4)),
        fused=(Hit("c1", 0.9), Hit(dogs, 0.4)),
        reranked=(Hit("c1", 3.5),),
        context=(ContextHit("c1", 3.5, len(CATS)),),
        searched_depth=2,
    )
    assert records.passages[:2] == (
        Passage("c1", "cats.md", CATS, "Cats", 3),
        Passage(dogs, dogs, DOGS),
    )


@pytest.mark.parametrize("form", ["text", "structured"])
def test_genai_agent_with_new_names(make_span: MakeSpan, as_spans: AsSpans, form: str) -> None:
    documents = [{"id": 7, "score": 0.95, "content": CATS}, {"id": "d8", "score": 0.5}]
    asked = [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "How long do cats sleep?"}]},
    ]
    said = [{"role": "assistant", "parts": [{"type": "text", "content": "Fifteen hours."}]}]
    plain: Callable[[Any], Any] = json.dumps if form == "text" else (lambda value: value)
    spans = as_spans(
        make_span(
            1,
            ms=90,
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.input.messages": plain(asked),
                "gen_ai.output.messages": plain(said),
            },
        ),
        make_span(
            2,
            1,
            ms=10,
            attributes={
                "gen_ai.operation.name": "retrieval",
                "gen_ai.data_source.id": "kb-bm25",
                "gen_ai.retrieval.query.text": "cats",
                "gen_ai.retrieval.documents": plain(documents),
            },
        ),
        make_span(
            3,
            1,
            at=20,
            ms=50,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.usage.input_tokens": 50,
                "gen_ai.usage.output_tokens": 6,
            },
        ),
    )
    request = request_of(read_trace(spans))
    assert (request.question, request.answer) == ("How long do cats sleep?", "Fifteen hours.")
    assert request.lexical == request.fused == (Hit("7", 0.95), Hit("d8", 0.5))
    assert (request.prompt_tokens, request.completion_tokens) == (50, 6)
    assert request.version_id == "unversioned"
    assert [hit.passage_id for hit in request.context] == ["7", "d8"]


def test_genai_old_names_of_openllmetry(make_span: MakeSpan, as_spans: AsSpans) -> None:
    results = [
        {
            "name": "db.query.result",
            "attributes": {
                "db.query.result.id": name,
                "db.query.result.distance": distance,
                "db.query.result.document": text,
            },
        }
        for name, distance, text in (("c1", 0.1, CATS), ("d1", 0.7, DOGS))
    ]
    spans = as_spans(
        make_span(
            1,
            ms=90,
            attributes={
                "traceloop.span.kind": "workflow",
                "traceloop.entity.input": json.dumps(
                    {"args": ["How long do cats sleep?"], "kwargs": {}}
                ),
                "traceloop.entity.output": json.dumps("Fifteen hours."),
                "traceloop.association.properties.topic": "animals",
            },
        ),
        make_span(2, 1, ms=10, attributes={"db.system": "chroma"}, events=results),
        make_span(
            3,
            1,
            at=20,
            attributes={
                "llm.request.type": "chat",
                "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": f"{DOGS} {CATS[:50]} … How long do cats sleep?",
                "gen_ai.completion.0.content": "Fifteen hours.",
                "gen_ai.usage.prompt_tokens": 50,
                "gen_ai.usage.completion_tokens": 6,
            },
        ),
    )
    request = request_of(read_trace(spans))
    assert (request.question, request.answer) == ("How long do cats sleep?", "Fifteen hours.")
    assert request.topic == "animals"
    assert request.dense == (Hit("c1", -0.1), Hit("d1", -0.7))
    # In the order of the prompt, and the second one cut.
    assert request.context == (ContextHit("d1", -0.7, len(DOGS)), ContextHit("c1", -0.1, 50))
    assert (request.prompt_tokens, request.completion_tokens) == (50, 6)


def test_messages_that_came_as_events(make_span: MakeSpan, as_spans: AsSpans) -> None:
    events = [
        {"name": "gen_ai.user.message", "attributes": {"content": "How long do cats sleep?"}},
        {
            "name": "gen_ai.choice",
            "attributes": {"index": 0, "message": json.dumps({"content": "Fifteen hours."})},
        },
    ]
    spans = as_spans(make_span(1, attributes={"gen_ai.operation.name": "chat"}, events=events))
    request = request_of(read_trace(spans))
    assert (request.question, request.answer) == ("How long do cats sleep?", "Fifteen hours.")
    assert request.fused == request.context == ()
    assert request.status == "ok"


@pytest.mark.parametrize("parts", [False, True])
def test_messages_under_full_names_as_phoenix_dataframes_have_them(
    make_span: MakeSpan, as_spans: AsSpans, parts: bool
) -> None:
    def message(role: str, text: str) -> dict[str, Any]:
        part = {"message_content.type": "text", "message_content.text": text}
        said = {"message.contents": [part]} if parts else {"message.content": text}
        return {"message.role": role, **said}

    call = {
        "openinference.span.kind": "LLM",
        "llm.input_messages": json.dumps([message("system", "Be brief."), message("user", "q?")]),
        "llm.output_messages": json.dumps([message("assistant", "a")]),
    }
    request = request_of(read_trace(as_spans(make_span(1, attributes=call))))
    assert (request.question, request.answer) == ("q?", "a")


def retriever(
    make_span: MakeSpan, number: int, parent: int, name: str, *ids: str, **more: Any
) -> dict[str, Any]:
    documents = openinference_documents(
        "retrieval.documents", *((i, f"text of {i}", 1 / n) for n, i in enumerate(ids, start=1))
    )
    attributes = {"openinference.span.kind": "RETRIEVER", "input.value": "q?", **documents}
    return make_span(number, parent, name=name, attributes=attributes, **more)


def names(hits: tuple[Any, ...] | None) -> list[str]:
    return [hit.passage_id for hit in hits or ()]


def test_an_ensemble_holds_its_two_paths(make_span: MakeSpan, as_spans: AsSpans) -> None:
    spans = as_spans(
        retriever(make_span, 1, 0, "EnsembleRetriever", "b", "a", ms=30),
        retriever(make_span, 2, 1, "BM25Retriever", "a", "b", at=1, ms=10),
        retriever(make_span, 3, 1, "search", "b", "c", at=5, ms=15),
    )
    spans[2] = Span(**{**fields(spans[2]), "name": "FAISS"})
    request = request_of(read_trace(spans))
    assert names(request.lexical) == ["a", "b"]
    assert names(request.dense) == ["b", "c"]
    assert names(request.fused) == ["b", "a"]
    assert request.latency_ms == {"fusion": 11.0, "lexical": 10.0, "dense": 15.0, "total": 30.0}


@pytest.mark.parametrize(
    ("stated", "expected"), [("fused", "fused"), ("lexical", "lexical"), (["dense"], "dense")]
)
def test_a_stage_that_is_stated_is_believed(
    make_span: MakeSpan, as_spans: AsSpans, stated: Any, expected: str
) -> None:
    span = retriever(make_span, 1, 0, "VectorStoreRetriever", "a", ms=30)
    (read,) = as_spans(span)
    read = Span(**{**fields(read), "attributes": {**read.attributes, "ragdiag.stage": stated}})
    assert names(getattr(request_of(read_trace([read])), expected)) == ["a"]


def fields(span: Span) -> dict[str, Any]:
    return {name: getattr(span, name) for name in Span.__dataclass_fields__}


def test_a_retriever_around_a_reranker_gives_what_it_was_given(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    reranker = {
        "openinference.span.kind": "RERANKER",
        **openinference_documents("reranker.output_documents", ("b", "text of b", 2.0)),
    }
    spans = as_spans(
        retriever(make_span, 1, 0, "ContextualCompressionRetriever", "b", ms=30),
        retriever(make_span, 2, 1, "lookup", "a", "b", at=1),
        make_span(3, 1, at=12, attributes=reranker),
    )
    request = request_of(read_trace(spans))
    assert (names(request.fused), names(request.reranked)) == (["a", "b"], ["b"])


def test_an_unnamed_retriever_within_one_that_merges(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    spans = as_spans(
        retriever(make_span, 1, 0, "MultiQueryRetriever", "b", "a", ms=30),
        retriever(make_span, 2, 1, "lookup", "a", "z", at=1),
        retriever(make_span, 3, 1, "lookup", "b", at=12),
    )
    assert names(request_of(read_trace(spans)).fused) == ["b", "a"]


def test_an_agents_searches_are_one_list_in_order_of_time(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    spans = as_spans(
        make_span(1, ms=90, attributes={"gen_ai.operation.name": "invoke_agent"}),
        retriever(make_span, 3, 1, "lookup", "c", "a", at=40),
        make_span(4, 1, attributes={"openinference.span.kind": "TOOL"}),
        retriever(make_span, 2, 4, "lookup", "a", "b", at=5),
    )
    request = request_of(read_trace(spans))
    assert names(request.fused) == ["a", "b", "c"]
    assert request.latency_ms == {"fusion": 20.0, "total": 90.0}


def test_two_paths_merged_out_of_sight(make_span: MakeSpan, as_spans: AsSpans) -> None:
    paths = [
        retriever(make_span, 2, 1, "bm25 search", "a", "b"),
        retriever(make_span, 3, 1, "vector search", "b", "c"),
    ]
    request = request_of(read_trace(as_spans(make_span(1), *paths)))
    assert request.fused == ()
    assert request.degraded_reason == "how the two paths were merged was not recorded"
    prompt = {
        "openinference.span.kind": "LLM",
        "llm.input_messages.0.message.content": "text of c\ntext of a\nq?",
    }
    shown = as_spans(make_span(1), *paths, make_span(4, 1, attributes=prompt))
    request = request_of(read_trace(shown))
    assert names(request.fused) == names(request.context) == ["c", "a"]
    assert request.degraded_reason is None


def test_prompts_that_hold_no_retrieved_text(make_span: MakeSpan, as_spans: AsSpans) -> None:
    llm = {"openinference.span.kind": "LLM", "llm.input_messages.0.message.content": "q?"}
    spans = as_spans(
        retriever(make_span, 1, 0, "lookup", "a"), make_span(2, 0, attributes=llm, at=20)
    )
    request = request_of(read_trace(spans))
    assert request.context == ()
    assert request.degraded_reason == "no recorded prompt holds a retrieved text"


def test_a_document_without_its_text_was_given_whole(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    listed = openinference_documents("retrieval.documents", ("a", "", 1.0))
    spans = as_spans(
        make_span(
            1,
            attributes={"openinference.span.kind": "RETRIEVER", "input.value": "q?", **listed},
        )
    )
    assert request_of(read_trace(spans)).context == (ContextHit("a", 1.0, LONGEST),)


@pytest.mark.parametrize(
    ("told", "context"),
    [
        (
            {"llm.input_messages.0.message.content": "text of b\nq?"},
            (ContextHit("b", 2.0, len("text of b")),),
        ),
        (
            openinference_documents("input.documents", ("a", "", 0.5)),
            (ContextHit("a", 0.5, len("text of a")),),
        ),
    ],
)
def test_a_passage_named_by_its_id_alone_has_the_text_that_was_retrieved(
    told: dict[str, object],
    context: tuple[ContextHit, ...],
    make_span: MakeSpan,
    as_spans: AsSpans,
) -> None:
    """Rerankers, and model calls that state what they were given, often say no more."""
    order = openinference_documents("reranker.output_documents", ("b", "", 2.0), ("a", "", 1.0))
    request = request_of(
        read_trace(
            as_spans(
                make_span(1),
                retriever(make_span, 2, 1, "search", "a", "b"),
                make_span(3, 1, at=20, attributes={"openinference.span.kind": "RERANKER", **order}),
                make_span(4, 1, at=30, attributes={"openinference.span.kind": "LLM", **told}),
            )
        )
    )
    assert names(request.reranked) == ["b", "a"]
    assert request.context == context


def test_stated_context_wins(make_span: MakeSpan, as_spans: AsSpans) -> None:
    llm = {
        "openinference.span.kind": "LLM",
        "llm.input_messages.0.message.content": "q?",
        **openinference_documents("input.documents", ("b", "text of b", 1.0)),
    }
    spans = as_spans(
        retriever(make_span, 1, 0, "lookup", "a", "b"), make_span(2, 0, attributes=llm, at=20)
    )
    assert request_of(read_trace(spans)).context == (ContextHit("b", 1.0, 9),)


def test_a_trace_without_a_root(make_span: MakeSpan, as_spans: AsSpans) -> None:
    spans = as_spans(
        retriever(make_span, 2, 1, "lookup", "a", at=10, ms=10),
        make_span(3, 1, at=30, ms=30, attributes={"openinference.span.kind": "LLM"}),
    )
    request = request_of(read_trace(spans))
    assert request.degraded_reason == "no root span"
    assert request.asked_at == NOW + timedelta(milliseconds=10)
    assert request.latency_ms["total"] == 50.0
    assert (request.question, names(request.fused)) == ("q?", ["a"])


def test_errors_of_the_root_count_and_recovered_ones_do_not(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    asked = {"openinference.span.kind": "CHAIN", "input.value": "q?", "output.value": "a"}
    broken = {"code": "STATUS_CODE_ERROR", "message": "index is gone"}
    recovered = as_spans(make_span(1, attributes=asked), make_span(2, 1, status=broken))
    assert request_of(read_trace(recovered)).status == "ok"
    failed = as_spans(make_span(1, attributes=asked, status=broken))
    request = request_of(read_trace(failed))
    assert (request.status, request.error) == ("error", "index is gone")


def test_several_roots_take_as_long_as_all_and_fail_where_the_last_does(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    call = {"openinference.span.kind": "LLM", "input.value": "q?", "output.value": "a"}
    broken = {"code": "STATUS_CODE_ERROR", "message": "rate limit"}
    fails = {"attributes": call, "status": broken}
    tried = as_spans(make_span(1, ms=10, **fails), make_span(2, at=20, ms=50, attributes=call))
    request = request_of(read_trace(tried))
    assert (request.status, request.error) == ("ok", None)
    assert (request.asked_at, request.latency_ms["total"]) == (NOW, 70.0)
    gave_up = as_spans(make_span(2, ms=90, attributes=call), make_span(1, at=20, **fails))
    request = request_of(read_trace(gave_up))
    assert (request.status, request.error) == ("error", "rate limit")
    assert request.latency_ms["total"] == 90.0


def test_what_comes_hours_later_and_does_no_work_is_no_root(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    call = {"openinference.span.kind": "CHAIN", "input.value": "q?"}
    broken = {"code": "STATUS_CODE_ERROR", "message": "boom"}
    hour = 3_600_000.0
    for late in (make_span(2, at=hour), make_span(2, at=hour, attributes={"level": "info"})):
        spans = as_spans(make_span(1, ms=2_000, attributes=call, status=broken), late)
        request = request_of(read_trace(spans))
        assert (request.status, request.error) == ("error", "boom")
        assert request.latency_ms["total"] == 2_000.0


def test_figures_that_no_request_has_cost_themselves_alone(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    said = {"openinference.span.kind": "CHAIN", "input.value": "q?", "llm.cost.total": 1e18}
    request = request_of(read_trace(as_spans(make_span(1, attributes=said))))
    assert (request.question, request.cost_usd) == ("q?", None)


def test_two_instrumentations_of_one_call_count_its_tokens_once(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    llm = {
        "openinference.span.kind": "LLM",
        "input.value": "q?",
        "llm.token_count.prompt": 10,
        "llm.cost.prompt": 0.5,
        "llm.cost.completion": 0.25,
    }
    chat = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 10}
    spans = as_spans(
        make_span(1, ms=90),
        make_span(2, 1, ms=40, attributes=llm),
        make_span(3, 2, at=5, ms=30, attributes=chat),
        make_span(4, 1, at=50, ms=10, attributes=llm),
    )
    request = request_of(read_trace(spans))
    assert (request.prompt_tokens, request.cost_usd) == (20, 1.5)
    assert request.latency_ms["generation"] == 50.0


def test_a_span_that_comes_twice_counts_once(make_span: MakeSpan, as_spans: AsSpans) -> None:
    call = {
        "openinference.span.kind": "LLM",
        "input.value": "q?",
        "llm.token_count.prompt": 100,
        "llm.cost.total": 0.5,
    }
    running, ended, again = as_spans(
        make_span(1, ms=5, attributes={**call, "llm.token_count.prompt": 1}),
        make_span(1, ms=10, attributes=call),
        make_span(1, ms=10, attributes={**call, "output.value": "a"}),
    )
    for copies in ([ended, ended], [running, ended], [ended, running], [ended, running, again]):
        request = request_of(read_trace(copies))
        assert (request.prompt_tokens, request.cost_usd) == (100, 0.5)
        assert request.latency_ms == {"generation": 10.0, "total": 10.0}
    assert request.answer == "a"


def test_spans_without_an_id_are_not_copies_of_each_other(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    call = {"openinference.span.kind": "LLM", "input.value": "q?", "llm.token_count.prompt": 100}
    spans = as_spans(make_span(1, attributes=call), make_span(2, attributes=call, at=20))
    request = request_of(read_trace([replace(span, span_id="") for span in spans]))
    assert request.prompt_tokens == 200


def test_what_a_service_states_itself_wins(make_span: MakeSpan, as_spans: AsSpans) -> None:
    own = {
        "ragdiag.question": "Q",
        "ragdiag.answer": "A",
        "ragdiag.version": "v7",
        "ragdiag.topic": "t",
        "ragdiag.question_id": "q1",
        "ragdiag.traffic": "nonsense",
        "ragdiag.build_id": "b1",
        "ragdiag.cache_hit": True,
        "ragdiag.citations": ["p1", 2],
        "input.value": "something else",
    }
    request = request_of(read_trace(as_spans(make_span(1, attributes=own))))
    assert (request.question, request.answer, request.version_id) == ("Q", "A", "v7")
    assert (request.topic, request.question_id, request.build_id) == ("t", "q1", "b1")
    assert (request.traffic, request.cache_hit, request.citations) == (
        "production",
        True,
        ("p1", "2"),
    )


def test_a_trace_that_asks_nothing_is_rejected_with_the_remedy(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    records = read_trace(as_spans(make_span(1, name="GET /", attributes={"http.method": "GET"})))
    (reject,) = records.rejects
    assert (reject.source, reject.reason) == (f"trace {TRACE}", NO_QUESTION)
    assert records.requests == ()


def test_spans_that_are_each_others_parents_do_not_hang(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    records = read_trace(as_spans(make_span(1, 2), make_span(2, 1)))
    assert records.requests == ()
    assert len(records.rejects) == 1


def test_a_thousand_levels_are_read(make_span: MakeSpan, as_spans: AsSpans) -> None:
    asked = {"openinference.span.kind": "CHAIN", "input.value": "q?"}
    chain = [make_span(n, n - 1, attributes=asked) for n in range(1, 1_001)]
    assert request_of(read_trace(as_spans(*chain))).question == "q?"


@pytest.mark.parametrize(
    "documents",
    [
        "not JSON",
        "[1, null, {}]",
        json.dumps([{"document": {"document.id": "a"}}, {"metadata": 3, "page_content": "b"}]),
        json.dumps({"documents": 3}),
        [{"id": True}, {"id": "", "content": ""}, {"score": float("1e300")}],
        [[["a"]]],
    ],
)
def test_documents_of_any_make_never_raise(
    make_span: MakeSpan, as_spans: AsSpans, documents: Any
) -> None:
    attributes = {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.retrieval.query.text": "q?",
        "gen_ai.retrieval.documents": documents,
    }
    request = request_of(read_trace(as_spans(make_span(1, attributes=attributes))))
    assert all(hit.passage_id for hit in request.fused)


def test_no_spans_no_records() -> None:
    assert read_trace([]) == TraceRecords()


TEXTS = st.text(max_size=30) | st.sampled_from(["q?", "thumbs_down", "correct", "\ud800", "a\0b"])
INNER_NAMES = """
    id score content document metadata role parts messages question answer title position type
    text name label annotation source documents kwargs"""
SPAN_NAMES = """
    openinference.span.kind gen_ai.operation.name traceloop.span.kind retrieval.documents
    retrieval.documents.0.document.id retrieval.documents.0.document.score
    retrieval.documents.0.document.content reranker.output_documents input.documents
    gen_ai.retrieval.documents input.value output.value llm.input_messages gen_ai.prompt
    gen_ai.output.messages llm.token_count.prompt llm.cost.total metadata annotations
    evaluations.0.evaluation.name evaluations.0.evaluation.score ragdiag.question
    ragdiag.citations ragdiag.traffic ragdiag.cache_hit user.id ragdiag.links"""
SPAN_KINDS = "RETRIEVER RERANKER LLM CHAIN AGENT EVALUATOR EMBEDDING"
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(INNER_NAMES.split()), inner, max_size=4)
    ),
    max_leaves=10,
)
NAMES = st.sampled_from(SPAN_NAMES.split())
KINDS = st.sampled_from(SPAN_KINDS.split())
ATTRIBUTES = st.dictionaries(NAMES, VALUES | VALUES.map(json.dumps) | KINDS, max_size=6)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(ATTRIBUTES, KINDS, st.integers(0, 4)), min_size=1, max_size=4))
def test_whatever_a_trace_holds_its_records_can_be_stored(
    drawn: list[tuple[dict[str, Any], str, int]],
) -> None:
    bare = [
        {
            "traceId": TRACE,
            "spanId": f"{number:016x}",
            "parentSpanId": f"{parent:016x}" if parent not in (0, number) else "",
            "startTimeUnixNano": START + number,
            "endTimeUnixNano": START + 10_000 * number,
            "attributes": {"openinference.span.kind": kind, **attributes},
        }
        for number, (attributes, kind, parent) in enumerate(drawn, start=1)
    ]
    told = read_trace(spans_from_otlp_json(bare, now=NOW).spans, user_key=str.upper)
    for record in (*told.requests, *told.feedback, *told.grades, *told.passages):
        line = json.dumps(record_to_json(record), allow_nan=False).encode()
        assert parse_line(line) == record


@pytest.mark.parametrize(
    ("attributes", "user"),
    [
        ({"user.id": " ann "}, "ann"),
        ({"user.id": 42.0}, "42"),
        ({"ragdiag.user_id": 42.0}, "42"),
        ({"user.id": "  "}, None),
    ],
)
def test_a_user_is_read_as_at_every_other_door(
    make_span: MakeSpan, as_spans: AsSpans, attributes: dict[str, Any], user: str | None
) -> None:
    asked = {"input.value": "q?", **attributes}
    told = read_trace(as_spans(make_span(1, attributes=asked)), user_key=lambda named: named)
    assert request_of(told).user_key == user


@pytest.mark.parametrize(
    ("resource", "attributes", "version"),
    [
        ({"service.name": "helpdesk"}, {"llm.model_name": "m"}, "helpdesk"),
        ({"service.name": "unknown_service:python"}, {"llm.model_name": "m"}, "m"),
        ({}, {"gen_ai.request.model": "asked", "gen_ai.response.model": "asked-2026"}, "asked"),
        (
            {},
            {"llm.model_name": "asked-2026", "llm.invocation_parameters": '{"model": "asked"}'},
            "asked",
        ),
        ({"service.name": "unknown_service"}, {}, "unversioned"),
    ],
)
def test_who_states_no_version_has_that_of_its_last_model(
    make_span: MakeSpan,
    as_spans: AsSpans,
    resource: dict[str, str],
    attributes: dict[str, str],
    version: str,
) -> None:
    call = {"openinference.span.kind": "LLM", "llm.input_messages.0.message.role": "user"}
    spans = as_spans(
        make_span(1, attributes={"input.value": "q?"}),
        make_span(2, 1, attributes={**call, "llm.model_name": "rewriter"} if attributes else call),
        make_span(3, 1, at=20, attributes={**call, **attributes}),
        make_span(
            4, 1, at=40,
            attributes={"openinference.span.kind": "EMBEDDING", "gen_ai.request.model": "embedder"},
        ),
        resource=resource,
    )  # fmt: skip
    assert request_of(read_trace(spans)).version_id == version
