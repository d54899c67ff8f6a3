"""Random parts of a context, against scorers whose dependence on them is known and a toy model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from ragdiag.diagnosis.ablation import (
    HELD_OUT,
    MASKS,
    Ablation,
    Removed,
    draw_masks,
    fit_ablation,
    masks_to_score,
    parts_of,
    without,
)
from ragdiag.records import Answer, ContextPassage
from ragdiag.retrieval.text import sentence_spans
from tests.taught import TaughtLanguage

CONTEXT = tuple(
    ContextPassage(f"p{n}", f"One of {n}. Two of {n}.", title="t", score=n) for n in range(8)
)


def fitted(effects: Sequence[float], k: int = 2) -> Ablation:
    """Of an answer whose log-odds are −4 and the effects of the passages that are kept."""
    context = CONTEXT[: len(effects)]
    parts = parts_of(context)

    def score(removed: Removed) -> float:
        pairs = zip(parts, effects, strict=True)
        odds = -4 + sum(effect for part, effect in pairs if part.part_id not in removed)
        return -math.log1p(math.exp(-odds))

    scored = {removed: score(removed) for removed in masks_to_score(parts)}
    return fit_ablation(parts, scored, k, score)


def test_the_weights_are_what_each_passage_adds_to_the_log_odds() -> None:
    found = fitted([0, 6, 0, 0, -2, 0, 0, 1])
    # The penalty takes a little of every weight.
    values = [one.weight.value for one in found.weights]
    assert values == pytest.approx([0, 6, 0, 0, -2, 0, 0, 1], abs=0.1)
    strong, against = found.weights[1].weight, found.weights[4].weight
    assert 0 < strong.low <= strong.value <= strong.high
    assert against.high < 0
    assert found.strongest == ("p1", "p7")
    assert found.masks == MASKS


def test_how_far_to_trust_it_is_measured_on_contexts_that_were_not_fitted() -> None:
    found = fitted([0, 6, 0, 0, -2, 0, 0, 1], k=1)
    odds = [-4 + 6 - 2 + 1, -4 - 2 + 1]
    assert found.drop.value == pytest.approx(
        math.log1p(math.exp(-odds[1])) - math.log1p(math.exp(-odds[0]))
    )
    assert found.datamodelling.value > 0.98
    assert found.datamodelling.n == HELD_OUT


def test_an_answer_that_no_passage_moves_has_no_weights() -> None:
    found = fitted([0, 0, 0, 0, 0, 0])
    assert {one.weight.value for one in found.weights} == {0.0}
    assert found.strongest == ()
    assert found.drop.reason == "no part speaks for the answer"
    assert found.datamodelling.reason == "every context held out scores the same"


def test_of_few_passages_every_context_is_fitted() -> None:
    found = fitted([0, 6])
    assert [one.weight.value for one in found.weights] == pytest.approx([0, 6], abs=0.1)
    assert found.masks == 4
    assert "5 at least" in str(found.datamodelling.reason)
    nothing = fit_ablation(parts_of(CONTEXT), {(): -1.0}, 1, lambda removed: -1.0)
    assert nothing.weights[0].weight.reason is not None
    assert math.isnan(nothing.weights[0].weight.value)


def test_a_probability_of_one_stays_finite() -> None:
    parts = parts_of(CONTEXT[:3])
    scored = {removed: 0.0 if len(removed) < 2 else -1.0 for removed in masks_to_score(parts)}
    found = fit_ablation(parts, scored, 1, lambda removed: -1.0)
    assert all(math.isfinite(one.weight.value) for one in found.weights)


def test_masks_are_different_seeded_and_no_more_than_there_are() -> None:
    parts = parts_of(CONTEXT)
    masks = draw_masks(parts, 96)
    assert len(set(masks)) == 96
    assert draw_masks(parts, 40) == masks[:40]
    assert len(draw_masks(parts[:3], 96)) == 8
    assert next(masks_to_score(parts)) == ()


def test_a_sentence_is_removed_without_its_passage() -> None:
    parts = parts_of(CONTEXT[:2], sentence_spans)
    assert [part.part_id for part in parts] == ["p0#1", "p0#2", "p1#1", "p1#2"]
    kept = without(CONTEXT[:2], parts, ("p0#1", "p1#1", "p1#2"))
    assert kept == (ContextPassage("p0", "Two of 0.", title="t", score=0),)
    assert without(CONTEXT[:2], parts, ()) == CONTEXT[:2]


@pytest.mark.slow
def test_a_model_that_reads_is_led_by_the_passage_it_reads(taught_language: TaughtLanguage) -> None:
    """Four facts a passage each; the protocol is tried, no accuracy is claimed."""
    from ragdiag.generation.local import load_transformers

    generator = load_transformers(taught_language.trained.spec)
    facts = ("k1 v4 .", "k7 v2 .", "k3 v9 .", "k5 v6 .")
    context = [ContextPassage(f"p{n}", fact) for n, fact in enumerate(facts)]
    parts = parts_of(context)

    def score(removed: Removed) -> float:
        return generator.log_probability("k7", without(context, parts, removed), Answer("v2"))

    scored = {removed: score(removed) for removed in masks_to_score(parts)}
    assert len(scored) == 16
    found = fit_ablation(parts, scored, 1, score)
    assert found.strongest == ("p1",)
    assert found.drop.value > 0
    assert found.datamodelling.n == 5
