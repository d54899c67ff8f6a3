"""A trace as one request: what was asked, retrieved, answered, and what it took.

One trace is one request, and the trace's id is the request's. The decisions:

- **Question**: ``ragdiag.question``; else the input of the topmost chain or agent that has one;
  else the first retriever's query; else what the user said last to the first model call. A trace
  without any is no request and is rejected.
- **Answer**: ``ragdiag.answer``; else the output of the topmost chain or agent (of several side
  by side the last); else what the last model call said.
- **Lists**: see ``stages``. A trace that retrieved nothing is a request with empty lists.
- **Time**: ``asked_at`` is when the root began; ``total`` its duration, so that nothing depends on
  two clocks agreeing; of several roots, or without one, from the first beginning to the last end.
  See ``durations``.
- **Tokens and cost**: a span's own figures, else the sum of its children's.
- **Status**: an error where the root (of several the one that began last; without one, any topmost
  span) failed; a failure that was recovered from, below or by a later root, is none.
- **Version**: ``ragdiag.version``, else ``service.version``, else ``service.name``, else the model
  of the last call, else ``unversioned``; the attribute may be on a span or on the resource.
- **User**: only what ``user_key`` makes of the id; without it none.
- An evaluator's spans are not the request's (see ``tree``); results are read from every span.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from ragdiag.records import Feedback, Grade, Passage, Reject, Request, Span, Status, Traffic
from ragdiag.spans.conventions import (
    ANSWER_KEYS,
    COMPLETION_TOKENS,
    INPUT_VALUES,
    OUTPUT_VALUES,
    PROMPT_TOKENS,
    QUERY_TEXTS,
    QUESTION_KEYS,
    UNVERSIONED,
)
from ragdiag.spans.documents import to_passages
from ragdiag.spans.feedback import has_session_results, read_opinions, to_records
from ragdiag.spans.messages import last_of_user, read_messages, read_value
from ragdiag.spans.particulars import (
    Properties,
    read_cost,
    read_count,
    read_latency,
    read_model,
    read_properties,
)
from ragdiag.spans.sources import trace_source
from ragdiag.spans.stages import Stages, read_stages
from ragdiag.spans.tree import Tree, grow_tree, keep_one_each

NO_ROOT = "no root span"
NO_QUESTION = (
    "no span of the trace says what was asked: let the instrumentation record content "
    "(OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT), or set ragdiag.question"
)
SESSION = "results about a session belong to no request"


@dataclass(frozen=True, slots=True)
class TraceRecords:
    """What a trace told. ``rejects`` name the trace as their source."""

    requests: tuple[Request, ...] = ()
    feedback: tuple[Feedback, ...] = ()
    grades: tuple[Grade, ...] = ()
    passages: tuple[Passage, ...] = ()
    rejects: tuple[Reject, ...] = ()


def read_trace(
    spans: Sequence[Span], *, user_key: Callable[[str], str] | None = None
) -> TraceRecords:
    """The records of the spans of one trace, copies of one counted once; without spans, none."""
    if not spans:
        return TraceRecords()
    spans = keep_one_each(spans)
    results = read_results(spans)
    tree = grow_tree(spans)
    stated = read_properties([node.span for node in tree.nodes])
    question = stated.own.get("question") or _read_question(tree)
    if not question and (results.grades or results.feedback):
        return results  # feedback that came later, on a trace of its own
    if not question:
        reject = Reject(trace_source(spans[0].trace_id), 0, NO_QUESTION, spans[0].name)
        return replace(results, rejects=(*results.rejects, reject))
    stages = read_stages(tree)
    request = _read_request(tree, stages, stated, question, user_key)
    passages = tuple(to_passages(stages.documents))
    return replace(results, requests=(request,), passages=passages)


def read_results(spans: Sequence[Span]) -> TraceRecords:
    """Only the grades and the feedback that the spans carry."""
    opinions = to_records(opinion for span in spans for opinion in read_opinions(span))
    rejects = [
        Reject(trace_source(span.trace_id), 0, SESSION, span.name)
        for span in spans
        if has_session_results(span)
    ]
    return TraceRecords(
        feedback=tuple(one for one in opinions if isinstance(one, Feedback)),
        grades=tuple(one for one in opinions if isinstance(one, Grade)),
        rejects=tuple(rejects),
    )


def _read_request(
    tree: Tree,
    stages: Stages,
    stated: Properties,
    question: str,
    user_key: Callable[[str], str] | None,
) -> Request:
    spans = [node.span for node in tree.nodes]
    begun = tree.roots or spans
    answer = stated.own.get("answer") or _read_answer(tree)
    error = _read_error(tree)
    traffic = stated.named("traffic")
    doubts = [NO_ROOT] * (not tree.roots) + list(stages.doubts)
    longest = max(map(len, (stages.lexical or (), stages.dense or (), stages.fused)))
    return Request(
        request_id=spans[0].trace_id,
        asked_at=min(span.started_at for span in begun),
        version_id=stated.version or read_model(tree) or UNVERSIONED,
        traffic=traffic if traffic in get_args(Traffic) else "production",  # type: ignore[arg-type]
        question=question,
        build_id=stated.named("build_id"),
        question_id=stated.named("question_id") or None,
        topic=stated.named("topic"),
        user_key=user_key(stated.user) if stated.user and user_key else None,
        answer=answer,
        citations=stated.citations,
        status=_read_status(answer, error, stated.named("status")),
        error=error,
        degraded_reason="; ".join(doubts) or None,
        cache_hit=stated.own.get("cache_hit") == "true",
        prompt_tokens=read_count(tree, PROMPT_TOKENS),
        completion_tokens=read_count(tree, COMPLETION_TOKENS),
        cost_usd=read_cost(tree),
        latency_ms=read_latency(tree, stages),
        lexical=stages.lexical,
        dense=stages.dense,
        fused=stages.fused,
        reranked=stages.reranked,
        context=stages.context,
        searched_depth=longest,
    )


def _read_question(tree: Tree) -> str:
    for node in tree.of_kind("chain", "agent", "other"):
        if text := read_value(node.span, INPUT_VALUES, QUESTION_KEYS):
            return text
        if node.kind == "agent" and (text := last_of_user(read_messages(node.span, "input"))):
            return text
    for node in tree.of_kind("retriever", "reranker"):
        if text := read_value(node.span, QUERY_TEXTS, QUESTION_KEYS):
            return text
    calls = sorted(tree.of_kind("llm"), key=lambda node: node.span.started_at)
    return next((text for n in calls if (text := last_of_user(read_messages(n.span, "input")))), "")


def _read_answer(tree: Tree) -> str:
    by_end = sorted(tree.nodes, key=lambda node: node.span.ended_at, reverse=True)
    for node in sorted(by_end, key=lambda node: node.depth):
        if node.kind in ("chain", "agent", "other"):
            if text := read_value(node.span, OUTPUT_VALUES, ANSWER_KEYS):
                return text
            if node.kind == "agent" and (messages := read_messages(node.span, "output")):
                return messages[-1].text
    calls = (read_messages(node.span, "output") for node in by_end if node.kind == "llm")
    return next((messages[-1].text for messages in calls if messages), "")


def _read_error(tree: Tree) -> str | None:
    tops = tree.roots[-1:] or [node.span for node in tree.nodes if node.depth == 0]
    return next((span.error or span.name for span in tops if span.status == "error"), None)


def _read_status(answer: str, error: str | None, stated: str) -> Status:
    if error is not None:
        return "error"
    return "no_answer" if stated == "no_answer" and not answer else "ok"
