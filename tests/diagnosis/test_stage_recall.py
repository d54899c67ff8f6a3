"""Gold by stage against counts made by hand, and against a plain loop."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.diagnosis.stage_recall import Gold, recall_by_stage, worst_stage
from ragdiag.records import ContextHit, Hit, Request

ASKED_AT = datetime(2026, 1, 5, tzinfo=UTC)


def hits(passage_ids: str) -> tuple[Hit, ...]:
    return tuple(Hit(name, 1.0 / rank) for rank, name in enumerate(passage_ids, 1))


def request(question: str, *, context: str = "", chars: int = 99, **lists: str | None) -> Request:
    kept = {stage: None if found is None else hits(found) for stage, found in lists.items()}
    held = tuple(ContextHit(name, 1.0, chars) for name in context)
    return Request(
        f"r-{question}",
        ASKED_AT,
        "v",
        "evaluation",
        "Why?",
        question_id=question,
        context=held,
        **kept,  # type: ignore[arg-type]
    )


GOLDS = {
    "q1": Gold({"a": "the cat sat", "b": "a dog"}),
    "q2": Gold({"c": "text with an answer"}, ("answer",)),
    "q3": Gold({}),
}


def test_each_stage_keeps_a_share_of_the_gold_and_loses_what_it_was_handed() -> None:
    asked = [
        request("q1", lexical="ax", dense="bx", fused="abx", reranked="ax", context="a"),
        request("q2", lexical="x", dense="cx", fused="xy", reranked="xy", context="x"),
        request("q3", lexical="x", dense="x", fused="x", reranked="x", context="x"),
        request("nobody", lexical="x", dense="x", fused="x", reranked="x", context="x"),
    ]
    found = {one.stage: one for one in recall_by_stage(asked, GOLDS)}
    assert {stage: one.recall.value for stage, one in found.items()} == {
        "lexical": 0.25,
        "dense": 0.75,
        "either": 1.0,
        "fused": 0.5,
        "reranked": 0.25,
        "context": 0.25,
    }
    assert [found[stage].lost.value for stage in ("fused", "reranked", "context")] == [
        0.5,
        0.25,
        0.0,
    ]
    assert found["lexical"].lost.reason == "nothing is stored of what came before"
    assert {one.recall.n for one in found.values()} == {2}
    assert (found["fused"].most, found["either"].most) == (3, 4)
    assert all(0 <= one.recall.low <= one.recall.high <= 1 for one in found.values())
    worst = worst_stage(list(found.values()))
    assert worst is not None
    assert worst.stage == "fused"


def test_a_passage_cut_before_its_answer_is_lost_on_the_way_into_the_prompt() -> None:
    cut = request("q2", fused="c", context="c", chars=4)
    (fused, context) = recall_by_stage([cut], GOLDS)
    assert (fused.recall.value, context.recall.value, context.lost.value) == (1.0, 0.0, 1.0)
    assert context.recall.reason == "one cluster has no interval"


def test_requests_that_failed_lose_no_gold() -> None:
    answered = request("q1", fused="ab", context="ab")
    failed = replace(request("q2"), status="error")
    assert recall_by_stage([answered, failed], GOLDS) == recall_by_stage([answered], GOLDS)


def test_stages_that_are_not_stored_are_left_out() -> None:
    (only,) = recall_by_stage([request("q1", context="a")], GOLDS)
    assert (only.stage, only.recall.value, only.lost.n) == ("context", 0.5, 0)
    assert recall_by_stage([], GOLDS) == []
    assert worst_stage([only]) is None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.text("abc", max_size=3)] * 3), min_size=1, max_size=3))
def test_what_a_stage_keeps_and_loses_is_what_a_plain_loop_counts(
    lists: list[tuple[str, str, str]],
) -> None:
    golds = {f"q{n}": Gold({"a": "", "b": ""}) for n in range(len(lists))}
    asked = [
        request(f"q{n}", lexical=one, dense=other, fused=fused)
        for n, (one, other, fused) in enumerate(lists)
    ]
    found = {one.stage: one for one in recall_by_stage(asked, golds)}
    kept = lost = 0
    for one, other, fused in lists:
        for gold in "ab":
            kept += gold in fused
            lost += gold in one + other and gold not in fused
    assert abs(found["fused"].recall.value - kept / (2 * len(lists))) < 1e-12
    assert abs(found["fused"].lost.value - lost / (2 * len(lists))) < 1e-12
