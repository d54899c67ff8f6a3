"""Evaluations and annotations: which become grades, which feedback, and about which request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ragdiag.records import Feedback, Grade, Span
from ragdiag.spans.traces import SESSION, read_trace

from .conftest import NOW, TRACE

MakeSpan = Callable[..., dict[str, Any]]
AsSpans = Callable[..., list[Span]]

ASKED = {"openinference.span.kind": "CHAIN", "input.value": "q?", "output.value": "a"}


def evaluation(**told: Any) -> dict[str, Any]:
    attributes = {f"gen_ai.evaluation.{key.replace('_', '.')}": v for key, v in told.items()}
    return {"name": "gen_ai.evaluation.result", "attributes": attributes}


def annotation(kind: str = "annotations", **told: Any) -> dict[str, Any]:
    inner = "annotation" if "annotations" in kind else "evaluation"
    return {f"{kind}.0.{inner}.{key}": value for key, value in told.items()}


@pytest.mark.parametrize(
    ("told", "grade"),
    [
        (
            {"name": "correctness", "score_value": 0.8, "score_label": "correct"},
            Grade(TRACE, "correctness", 1, 0.8),
        ),
        (
            {"name": "answer_accuracy", "score_value": 0, "explanation": "wrong year"},
            Grade(TRACE, "answer_accuracy", 0, 0.0, reason="wrong year"),
        ),
        (
            {"name": "hallucination", "score_value": 1, "score_label": "hallucinated"},
            Grade(TRACE, "hallucination", None, 1.0, reason="hallucinated"),
        ),
        ({"name": "safety", "score_label": "Fail"}, Grade(TRACE, "safety", 0)),
        ({"name": "incorrectness", "score_value": 1}, Grade(TRACE, "incorrectness", None, 1.0)),
        ({"name": "correct", "score_label": "Yes"}, Grade(TRACE, "correct", 1)),
        (
            {"name": "hallucination", "score_label": "true"},
            Grade(TRACE, "hallucination", None, reason="true"),
        ),
        ({"name": "stars", "score_label": "1"}, Grade(TRACE, "stars", None, reason="1")),
    ],
)
def test_an_evaluation_event_is_a_grade(
    make_span: MakeSpan, as_spans: AsSpans, told: dict[str, Any], grade: Grade
) -> None:
    records = read_trace(as_spans(make_span(1, attributes=ASKED, events=[evaluation(**told)])))
    assert records.grades == (grade,)
    assert len(records.requests) == 1


@pytest.mark.parametrize(
    "kind", ["annotations", "evaluations", "trace.annotations", "trace.evaluations"]
)
def test_openinference_results_are_grades(
    make_span: MakeSpan, as_spans: AsSpans, kind: str
) -> None:
    told = annotation(kind, name="relevance", score=0.5, annotator_kind="LLM", explanation="so so")
    records = read_trace(as_spans(make_span(1, attributes={**ASKED, **told})))
    assert records.grades == (Grade(TRACE, "relevance", None, 0.5, reason="so so"),)


@pytest.mark.parametrize(
    ("told", "value"),
    [
        ({"label": "thumbs-down"}, -1.0),
        ({"label": "thumbs_up"}, 1.0),
        ({"score": 0}, -1.0),
        ({"score": -1}, -1.0),
        ({"score": 1}, 1.0),
        ({"score": 1, "label": "👎"}, -1.0),
        ({"label": "👍🏽"}, 1.0),
        ({"score": 1, "label": "👎\ufe0f"}, -1.0),
    ],
)
@pytest.mark.parametrize(
    "name",
    ["user feedback", "userFeedback", "thumbs", "Thumbs_Up", "thumbs-up/down", "like", "thumb"],
)
def test_a_human_thumb_is_feedback(
    make_span: MakeSpan, as_spans: AsSpans, name: str, told: dict[str, Any], value: float
) -> None:
    thumb = annotation(name=name, annotator_kind="HUMAN", **told)
    records = read_trace(as_spans(make_span(1, ms=0, attributes={**ASKED, **thumb})))
    expected = Feedback(f"{TRACE}/{1:016x}/0", TRACE, NOW, "thumbs", value)
    assert records.feedback == (expected,)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("rating", {"score": 1}),
        ("rating", {"score": 2, "label": "poor"}),
        ("user_rating", {"label": "1 star"}),
        ("user feedback", {"label": "1 star", "score": 1}),
        ("user feedback", {"score": 4}),
        ("user feedback", {"score": 0.5}),
        ("dislike", {"score": 1}),
        ("thumbs_down", {"score": 1}),
        ("likelihood of hallucination", {"score": 0.9}),
        ("feedback quality", {"score": 1}),
    ],
)
def test_what_else_a_human_says_is_a_grade_without_y(
    make_span: MakeSpan, as_spans: AsSpans, name: str, told: dict[str, Any]
) -> None:
    said = annotation(name=name, annotator_kind="HUMAN", **told)
    records = read_trace(as_spans(make_span(1, attributes={**ASKED, **said})))
    grade = Grade(TRACE, name, None, told.get("score"), reason=told.get("label", ""))
    assert (records.feedback, records.grades) == ((), (grade,))


@pytest.mark.parametrize(
    "told",
    [{"name": "x"}, {"label": "good"}, {"name": 3, "score": 1}, {"name": "x", "score": True}],
)
def test_a_result_without_name_or_content_is_none(
    make_span: MakeSpan, as_spans: AsSpans, told: dict[str, Any]
) -> None:
    records = read_trace(as_spans(make_span(1, attributes={**ASKED, **annotation(**told)})))
    assert (records.grades, records.feedback) == ((), ())


def test_numbers_of_json_text_beyond_every_float_are_no_scores(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    endless = 10**400
    told = {"evaluation": {"name": "helpful", "score": endless, "explanation": "very"}}
    documents = [{"document": {"id": "p1", "content": "Cats sleep.", "score": endless}}]
    retriever = {
        "openinference.span.kind": "RETRIEVER",
        "retrieval.documents": json.dumps(documents),
    }
    spans = as_spans(
        make_span(1, attributes={**ASKED, "evaluations": json.dumps([told])}),
        make_span(2, 1, attributes=retriever),
    )
    records = read_trace(spans)
    assert records.grades == (Grade(TRACE, "helpful", None, reason="very"),)
    assert [hit.passage_id for hit in records.requests[0].fused] == ["p1"]


def test_an_evaluator_beside_the_request_is_not_its_root(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    judge = {"openinference.span.kind": "EVALUATOR", **annotation(name="judge", label="pass")}
    asked = make_span(2, ms=40, attributes=ASKED)
    alone = read_trace(as_spans(asked))
    judged = read_trace(as_spans(make_span(1, ms=60_000, attributes=judge), asked))
    assert judged.requests == alone.requests
    assert [grade.grader for grade in judged.grades] == ["judge"]


def test_feedback_that_comes_later_is_about_the_linked_trace(
    make_span: MakeSpan, as_spans: AsSpans
) -> None:
    other = "cd" * 16
    told = annotation("evaluations", name="correctness", label="incorrect")
    carrier = make_span(
        1,
        attributes={"openinference.span.kind": "EVALUATOR", "input.value": "judge this", **told},
        links=[{"traceId": other, "spanId": f"{9:016x}"}],
    )
    records = read_trace(as_spans(carrier))
    assert records.grades == (Grade(other, "correctness", 0),)
    assert records.requests == records.rejects == ()


def test_a_judges_own_calls_are_not_the_requests(make_span: MakeSpan, as_spans: AsSpans) -> None:
    judge = {"openinference.span.kind": "EVALUATOR", **annotation(name="judge", label="pass")}
    call = {
        "openinference.span.kind": "LLM",
        "input.value": "judge this",
        "llm.token_count.prompt": 900,
    }
    spans = as_spans(
        make_span(1, attributes=ASKED),
        make_span(2, 1, at=20, attributes=judge),
        make_span(3, 2, at=21, attributes=call),
    )
    records = read_trace(spans)
    assert records.requests[0].prompt_tokens is None
    assert "generation" not in records.requests[0].latency_ms
    assert records.grades == (Grade(TRACE, "judge", 1),)


def test_session_results_are_rejected_by_name(make_span: MakeSpan, as_spans: AsSpans) -> None:
    told = annotation("session.annotations", name="coherence", score=1)
    records = read_trace(as_spans(make_span(1, attributes={**ASKED, **told})))
    assert [reject.reason for reject in records.rejects] == [SESSION]
    assert len(records.requests) == 1


def test_results_are_stored_as_their_json_says(make_span: MakeSpan, as_spans: AsSpans) -> None:
    listed = json.dumps([{"annotation": {"name": "n", "score": 2}}])
    records = read_trace(as_spans(make_span(1, attributes={**ASKED, "annotations": listed})))
    assert records.grades == (Grade(TRACE, "n", None, 2.0),)
