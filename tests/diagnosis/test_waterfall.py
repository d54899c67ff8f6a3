"""The waterfall against every rule of METHODS.md §3, on hand-made requests."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.diagnosis.waterfall import SURVIVAL, contains, has_arrived, locate_loss
from ragdiag.records import ContextHit, Hit, Request

TEXT = "The cat sat on the mat. It was happy."


def hits(*passage_ids: str) -> tuple[Hit, ...]:
    return tuple(Hit(passage_id, 1.0 / rank) for rank, passage_id in enumerate(passage_ids, 1))


def request(**fields: object) -> Request:
    plain: dict[str, object] = {
        "request_id": "r1",
        "asked_at": datetime(2026, 1, 5, tzinfo=UTC),
        "version_id": "v",
        "traffic": "evaluation",
        "question": "Where did the cat sit?",
        "lexical": hits("a", "b", "c"),
        "dense": hits("d", "e", "f"),
        "fused": hits("a", "d", "b"),
        "context": (ContextHit("a", 1.0, 100), ContextHit("d", 0.5, 100)),
        "searched_depth": 3,
    }
    return Request(**(plain | fields))  # type: ignore[arg-type]


def cause(logged: Request, gold: str, *, answers: tuple[str, ...] = (), k: int = 2) -> str:
    indexed = set("abcdefgxyz") - {"x"}
    texts = dict.fromkeys("abcdefgxyz", TEXT)
    return locate_loss(
        logged, gold={gold}, indexed=indexed, texts=texts, answers=answers, k=k
    ).cause


@pytest.mark.parametrize(
    ("gold", "expected"),
    [
        ("x", "corpus_gap"),
        ("z", "recall_miss"),
        ("c", "fusion_loss"),
        ("b", "rerank_loss"),
        ("a", "in_context"),
    ],
)
def test_each_stage_can_lose_the_gold(gold: str, expected: str) -> None:
    assert cause(request(), gold) == expected


def test_a_passage_of_the_top_k_that_the_prompt_lacks_was_lost_in_packing() -> None:
    assert cause(request(context=(ContextHit("a", 1.0, 100),)), "d") == "packing"


def test_a_passage_cut_before_its_answer_span_was_lost_in_packing() -> None:
    cut = request(context=(ContextHit("a", 1.0, len("The cat sat")),))
    assert cause(cut, "a", answers=("on the mat",)) == "packing"
    assert cause(cut, "a", answers=("cat",)) == "in_context"


def test_without_an_answer_span_the_whole_text_must_arrive() -> None:
    cut = request(context=(ContextHit("a", 1.0, len(TEXT) - 1),))
    assert cause(cut, "a", answers=("somewhere else",)) == "packing"
    assert has_arrived(cut, "a", TEXT[:-1], ())


def test_a_reranker_that_drops_gold_out_of_the_top_k_is_a_rerank_loss() -> None:
    reranked = request(reranked=hits("d", "b", "a"), context=(ContextHit("d", 1.0, 100),))
    assert cause(reranked, "a") == "rerank_loss"


def test_lists_logged_short_never_claim_a_recall_miss() -> None:
    logged = request(searched_depth=100, logged_depth=3)
    assert cause(logged, "z") == "beyond_logged_depth"
    assert cause(logged, "c") == "beyond_logged_depth"


def test_gold_between_the_logged_reranked_hits_and_the_top_k_may_have_been_lost_in_packing() -> (
    None
):
    """Of ten hits that were reranked three were logged, and packing was given five."""
    logged = request(reranked=hits("d", "b", "e"), searched_depth=10, logged_depth=3)
    assert cause(logged, "a", k=5) == "in_context"
    logged = replace(logged, context=(ContextHit("d", 1.0, 100),))
    assert cause(logged, "a", k=5) == "beyond_logged_depth"
    assert cause(logged, "a", k=3) == "rerank_loss"
    whole = replace(logged, logged_depth=None)
    assert cause(whole, "a", k=5) == "rerank_loss"
    found = locate_loss(
        whole, gold={"a"}, indexed={"a"}, texts={"a": TEXT}, answers=(), k=5, short=True
    )
    assert found.cause == "beyond_logged_depth"


def test_a_list_shorter_than_the_logged_depth_was_not_cut() -> None:
    logged = request(searched_depth=100, logged_depth=10)
    assert cause(logged, "z") == "recall_miss"


def test_the_best_surviving_gold_decides_and_recall_says_how_much_arrived() -> None:
    loss = locate_loss(
        request(),
        gold={"x", "b", "a"},
        indexed=set("abcdef"),
        texts=dict.fromkeys("abx", TEXT),
        answers=(),
        k=2,
    )
    assert (loss.cause, loss.passage_id) == ("in_context", "a")
    assert loss.gold_recall_at_context == pytest.approx(1 / 3)
    assert loss.ranks == {"lexical": 1, "dense": None, "fused": 1, "context": 1}
    assert loss.missing is not None
    assert (loss.missing.cause, loss.missing.passage_id) == ("rerank_loss", "b")


def test_without_gold_passages_nothing_is_claimed() -> None:
    loss = locate_loss(request(), gold=(), indexed="abc", texts={}, answers=("mat",), k=2)
    assert loss.cause == "gold_unknown"
    assert math.isnan(loss.gold_recall_at_context)


def test_an_answer_is_contained_only_at_word_boundaries() -> None:
    assert contains("It costs 12 dollars.", "12")
    assert not contains("It costs 120 dollars.", "12")
    assert not contains("Anything", "the")


@given(st.sets(st.sampled_from("abcdefgxyz"), min_size=1), st.sampled_from("abcdefgxyz"))
def test_more_gold_never_makes_the_loss_earlier(gold: set[str], extra: str) -> None:
    def survival(wanted: set[str]) -> int:
        loss = locate_loss(
            request(),
            gold=wanted,
            indexed=set("abcdefg"),
            texts=dict.fromkeys("abcdefgxyz", TEXT),
            answers=(),
            k=2,
        )
        return SURVIVAL.index(loss.cause)

    assert survival(gold | {extra}) >= survival(gold)
