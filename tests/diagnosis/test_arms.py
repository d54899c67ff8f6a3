"""The contexts of every arm, and what tells one question to a generator from another."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ragdiag.diagnosis.arms import arm_contexts, draw_key, find_misleading, oracle_order
from ragdiag.records import ContextPassage, Hit, Passage, Request

LOGGED = (ContextPassage("n", "noise"), ContextPassage("m", "more noise"))
GOLD = (Passage("g", "doc", "on the mat"),)


def hits(passage_ids: str) -> tuple[Hit, ...]:
    return tuple(Hit(name, 1.0 / rank) for rank, name in enumerate(passage_ids, 1))


def test_arms_give_gold_whole_and_first_and_keep_the_rest() -> None:
    cut = (ContextPassage("g", "on the"), *LOGGED)
    contexts = arm_contexts(cut, GOLD, oracle=LOGGED[:1], misleading="m")
    assert [passage.text for passage in contexts["r"]] == ["on the", "noise", "more noise"]
    assert [passage.text for passage in contexts["g"]] == ["on the mat"]
    assert [passage.text for passage in contexts["g+"]] == ["on the mat", "noise", "more noise"]
    assert contexts["r-g"] == LOGGED
    assert contexts["r-m"] == (cut[0], LOGGED[0])
    assert contexts["s"] == LOGGED[:1]
    assert contexts["none"] == ()
    assert not {"s", "r-m", "g-"} & arm_contexts(cut, GOLD).keys()
    assert arm_contexts(cut, GOLD, is_partial=True)["g-"] == cut[:1]


def test_a_perfect_order_puts_gold_first_and_looks_at_every_candidate() -> None:
    request = Request(
        "r1",
        datetime(2026, 1, 5, tzinfo=UTC),
        "v",
        "evaluation",
        "Where?",
        lexical=hits("abz"),
        dense=hits("cby"),
        fused=hits("abc"),
        reranked=hits("cab"),
    )
    assert [hit.passage_id for hit in oracle_order(request, {"y", "b"})] == list("bycaz")
    unranked = replace(request, reranked=None)
    assert [hit.passage_id for hit in oracle_order(unranked, {"q"})] == list("abczy")


def test_the_passage_that_misled_holds_the_wrong_answer() -> None:
    context = (*LOGGED, ContextPassage("g", "on the mat"))
    assert find_misleading("more noise", context, {"g"}) == "m"
    assert find_misleading("the mat", context, {"g"}) is None
    assert find_misleading("", context, {"g"}) is None


def test_another_draw_context_question_or_generator_is_another_key() -> None:
    keys = {
        draw_key(identity, question, context, number)
        for identity in ("a", "b")
        for question in ("Why?", "Where?")
        for context in (LOGGED, LOGGED[::-1], ())
        for number in (0, 1)
    }
    assert len(keys) == 24
    assert draw_key("a", "Why?", LOGGED, 0) == draw_key("a", "Why?", list(LOGGED), 0)
