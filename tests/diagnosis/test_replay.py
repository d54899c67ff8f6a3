"""Replay arms and their outcomes, with generators whose behaviour is known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from ragdiag.diagnosis.replay import ArmOutcome, arm_contexts, outcomes, replay
from ragdiag.errors import ProviderUnreachable
from ragdiag.records import Answer, ContextPassage, Grade, Passage, Request

REQUEST = Request("r1", datetime(2026, 1, 5, tzinfo=UTC), "v", "evaluation", "Where?")
LOGGED = (ContextPassage("n", "noise"), ContextPassage("m", "more noise"))
GOLD = (Passage("g", "doc", "on the mat"),)


class Reader:
    """Answers from the context alone: right as soon as gold is in it."""

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        return Answer("mat" if any("mat" in passage.text for passage in context) else "sofa")


class Dice:
    """Never gives the same answer twice; right every other time."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        number = next(self._count)
        return Answer(f"{'mat' if number % 2 else 'sofa'} {number}")


class Broken:
    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        raise ProviderUnreachable("no answer", remedy="start it")


def grade(answer: Answer) -> Grade:
    return Grade("r1", "toy", y=int("mat" in answer.text), score=0.0)


def test_arms_give_gold_whole_and_first_and_keep_the_rest() -> None:
    cut = (ContextPassage("g", "on the"), *LOGGED)
    contexts = arm_contexts(cut, GOLD)
    assert [passage.text for passage in contexts["r"]] == ["on the", "noise", "more noise"]
    assert [passage.text for passage in contexts["g"]] == ["on the mat"]
    assert [passage.text for passage in contexts["g+"]] == ["on the mat", "noise", "more noise"]
    assert contexts["none"] == ()


def test_a_generator_that_repeats_itself_is_asked_once_per_arm() -> None:
    draws = replay(REQUEST, arm_contexts(LOGGED, GOLD), Reader(), grade)
    assert len(draws) == 5
    found = outcomes(draws)
    assert {arm: outcome.p for arm, outcome in found.items()} == {
        "r": 0.0,
        "g": 1.0,
        "g+": 1.0,
        "none": 0.0,
    }
    assert found["g"].level == "high"
    assert found["r"].level == "low"


def test_a_sampling_generator_is_asked_three_times_per_arm() -> None:
    draws = replay(REQUEST, arm_contexts(LOGGED, GOLD), Dice(), grade)
    found = outcomes(draws)
    assert {outcome.draws for outcome in found.values()} == {3}
    assert not any(outcome.deterministic for outcome in found.values())


def test_an_arm_that_could_not_be_answered_is_unsure() -> None:
    draws = replay(REQUEST, arm_contexts(LOGGED, GOLD), Broken(), grade)
    assert all(draw.y is None for draw in draws)
    assert {outcome.level for outcome in outcomes(draws).values()} == {"unsure"}


@pytest.mark.parametrize(
    ("successes", "draws", "level"),
    [(3, 3, "high"), (0, 3, "low"), (2, 3, "unsure"), (1, 3, "unsure"), (9, 10, "high")],
)
def test_sampled_levels_follow_the_posterior(successes: int, draws: int, level: str) -> None:
    from scipy.stats import beta

    outcome = ArmOutcome(successes, draws, deterministic=False)
    above = 1 - beta(successes + 0.5, draws - successes + 0.5).cdf(0.5)
    assert outcome.level == level
    assert (above >= 0.9) == (level == "high")
    assert (above <= 0.1) == (level == "low")
