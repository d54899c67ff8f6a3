"""Every label of METHODS.md §4b by its test, and none where no test decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ragdiag.diagnosis.replay import ArmOutcome
from ragdiag.diagnosis.second_level import Scene, split_cause
from ragdiag.diagnosis.waterfall import Loss
from ragdiag.records import (
    Answer,
    ContextPassage,
    Diagnosis,
    Hit,
    Passage,
    Request,
    Retrieval,
)

HIGH, LOW = ArmOutcome(1, 1, deterministic=True), ArmOutcome(0, 1, deterministic=True)
GOLD = Passage("g", "doc", "The value is 12. It is set once.", position=1)
REQUEST = Request(
    "r1", datetime(2026, 1, 5, tzinfo=UTC), "v", "evaluation", "Which value?", answer="It is 7."
)


PARTIAL = Loss("in_context", "g", {}, 0.5, Loss("rerank_loss", "h", {}, 0.5))


def hits(passage_ids: str) -> tuple[Hit, ...]:
    return tuple(Hit(name, 1.0 / rank) for rank, name in enumerate(passage_ids, 1))


def on_words(answer: str, context: Sequence[ContextPassage]) -> bool:
    return any(answer in passage.text for passage in context)


def second_level(verdict: str, cause: str, **fields: Any) -> str | None:
    plain: dict[str, Any] = {
        "request": REQUEST,
        "loss": Loss(cause, "g", {}, 1.0),  # type: ignore[arg-type]
        "arms": {"r": LOW, "g": HIGH},
        "gold": (GOLD,),
        "answers": ("12",),
        "texts": {name: Passage(name, name, f"text of {name}") for name in "abcd"} | {"g": GOLD},
        "context": (),
        "k": 2,
        "grounded": on_words,
    }
    told = fields.pop("told", {})
    found = Diagnosis("r1", cause, verdict, "", "A", told)  # type: ignore[arg-type]
    return split_cause(found, Scene(**(plain | fields))).second_level


def searched(lexical: str, dense: str) -> dict[str, Any]:
    return {"deeper": lambda: Retrieval((), lexical=hits(lexical), dense=hits(dense))}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (searched("ag", "ab"), "one_path_blind"),
        (searched("ag", "bg"), None),
        ({**searched("a", "b"), "rare_overlap": 1.0}, "vocabulary"),
        ({**searched("a", "b"), "rare_overlap": 0.2}, None),
        ({}, None),
    ],
)
def test_a_recall_miss(fields: dict[str, Any], expected: str | None) -> None:
    assert second_level("retrieval", "recall_miss", **fields) == expected
    assert second_level("undetermined", "recall_miss", **fields) == expected


def test_an_answer_that_two_neighbours_share_was_split() -> None:
    half = replace(GOLD, text="The value is 12")
    texts = {"g": half, "h": Passage("h", "doc", "per day.", position=2)}
    fields = {"gold": (half,), "answers": ("12 per day",)}
    assert second_level("retrieval", "recall_miss", texts=texts, **fields) == "split_passage"
    far = {**texts, "h": replace(texts["h"], position=5)}
    assert second_level("retrieval", "recall_miss", texts=far, **fields) is None


def test_a_fusion_loss_that_one_path_had_first_was_outvoted() -> None:
    first = replace(REQUEST, lexical=hits("ag"), dense=hits("cd"))
    assert second_level("retrieval", "fusion_loss", request=first) == "outvoted"
    later = replace(REQUEST, lexical=hits("abg"), dense=hits("cd"))
    assert second_level("retrieval", "fusion_loss", request=later) is None


@pytest.mark.parametrize(
    ("fused", "reranked", "depth", "expected"),
    [
        (9, 9, 5, "not_offered"),
        (3, 4, 5, "demoted"),
        (4, 3, 5, "not_lifted"),
        (4, None, None, None),
    ],
)
def test_a_rerank_loss(
    fused: int, reranked: int | None, depth: int | None, expected: str | None
) -> None:
    loss = Loss("rerank_loss", "g", {"fused": fused, "reranked": reranked}, 0.0)
    request = replace(REQUEST, fused=hits("abcdefhig"))
    found = second_level("retrieval", "rerank_loss", loss=loss, request=request, rerank_depth=depth)
    assert found == expected


def test_copies_above_gold_crowd_it_out() -> None:
    loss = Loss("rerank_loss", "g", {"fused": 4}, 0.0)
    request = replace(REQUEST, fused=hits("abcg"))
    same = {name: Passage(name, name, "The very same words.") for name in "abc"}
    assert second_level("retrieval", "rerank_loss", loss=loss, request=request, texts=same) == (
        "crowded"
    )


def test_a_distraction_is_noise_or_position_by_what_flips_it() -> None:
    for arms, expected in (
        ({"r-m": HIGH, "g+": HIGH}, "noise"),
        ({"r-m": LOW, "g+": HIGH}, "position"),
        ({"r-m": LOW, "g+": LOW}, None),
    ):
        assert second_level("distraction", "in_context", arms=arms) == expected
    assert second_level("distraction", "in_context", arms={"g+": HIGH}, loss=PARTIAL) is None


def test_gold_that_is_missing_beside_gold_that_arrived_is_partial() -> None:
    assert second_level("retrieval", "rerank_loss", loss=PARTIAL) == "partial"
    assert second_level("packing", "packing", loss=PARTIAL) is None
    gap = {"loss": Loss("in_context", "g", {}, 0.5, Loss("corpus_gap", "h", {}, 0.5))}
    told = {"gold_passage": "h"}
    assert second_level("corpus", "corpus_gap", held=frozenset("gh"), told=told, **gap) == "stale"
    assert second_level("corpus", "corpus_gap", held=frozenset("g"), told=told, **gap) == "missing"


@pytest.mark.parametrize(
    ("said", "answers", "expected"),
    [
        ("Nothing of it", ("12",), "ungrounded"),
        ("12", ("13",), "numeric"),
        ("It is set once", ("It is set once; the colour is red",), "incomplete"),
        ("It is set once", ("the colour is red",), None),
    ],
)
def test_a_generator_by_its_answer_to_the_gold_passages(
    said: str, answers: tuple[str, ...], expected: str | None
) -> None:
    found = second_level("generator", "in_context", answers=answers, on_gold=Answer(said))
    assert found == expected


@pytest.mark.parametrize("declined", [Answer("", status="no_answer"), Answer("I don't know.")])
def test_a_generator_that_declines_or_should_have(declined: Answer) -> None:
    fields = {"on_gold": declined, "arms": {"r": LOW, "g": LOW, "G+": HIGH}}
    assert second_level("generator", "in_context", **fields) == "wrongful_abstention"
    assert second_level("generator", "in_context", on_gold=declined, arms={"g": LOW}) is None
    kept = {"on_gold": Answer("It is set once"), "answers": ("the colour is red",)}
    assert second_level("generator", "recall_miss", **kept) == "missed_abstention"


def test_luck_without_any_context_is_parametric() -> None:
    assert second_level("lucky", "recall_miss", arms={"none": HIGH}) == "parametric"
    assert second_level("lucky", "recall_miss", arms={"none": LOW}) is None
    told = (ContextPassage("n", "It is 7."),)
    assert second_level("lucky", "recall_miss", arms={"none": HIGH}, context=told) is None


def test_a_gap_is_stale_where_the_corpus_has_had_the_passage() -> None:
    assert second_level("corpus", "corpus_gap", held=frozenset("g")) == "stale"
    assert second_level("corpus", "corpus_gap", held=frozenset("a")) == "missing"


def test_a_suspect_label_is_the_passage_or_the_answer() -> None:
    other = (ContextPassage("n", "It is 99."),)
    assert second_level("label_suspect", "in_context", answers=("99",), context=other) == (
        "gold_passage"
    )
    said = {"on_gold": Answer("The 12."), "stronger": Answer("12"), "answers": ("99",)}
    assert second_level("label_suspect", "in_context", **said) == "gold_answer"
    neither = Answer("I don't know.")
    both_decline = {**said, "on_gold": neither, "stronger": neither}
    assert second_level("label_suspect", "in_context", **both_decline) is None
    right = {**said, "answers": ("12", "99")}
    assert second_level("label_suspect", "in_context", **right) is None
    apart = {**said, "stronger": Answer("once")}
    assert second_level("label_suspect", "in_context", **apart) is None


def test_other_verdicts_stay_as_they_are() -> None:
    assert second_level("packing", "packing") is None
    assert second_level("ok", "in_context") is None
