"""Replay arms and their outcomes, with generators whose behaviour is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from ragdiag.diagnosis.arms import Contexts, arm_contexts
from ragdiag.diagnosis.budget import Budget, Price
from ragdiag.diagnosis.replay import ArmOutcome, Replayed, Replayer, outcomes
from ragdiag.errors import ProviderUnreachable
from ragdiag.records import Answer, ContextPassage, Grade, Passage, Request

REQUEST = Request("r1", datetime(2026, 1, 5, tzinfo=UTC), "v", "evaluation", "Where?")
LOGGED = (ContextPassage("n", "noise"), ContextPassage("m", "more noise"))
GOLD = (Passage("g", "doc", "on the mat"),)


class Reader:
    """Answers from the context alone: right as soon as gold is in it."""

    calls = 0

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        self.calls += 1
        return Answer("mat" if any("mat" in passage.text for passage in context) else "sofa")


class Dice:
    """Never gives the same answer twice; right every other time."""

    calls = 0

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        self.calls += 1
        number = self.calls
        return Answer(f"{'mat' if number % 2 else 'sofa'} {number}")


class Fickle(Reader):
    """Never gives the same answer twice to what holds ``word``; else answers from the context."""

    def __init__(self, word: str) -> None:
        self.word = word

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        said = super().answer(question, context)
        held = any(self.word in passage.text for passage in context)
        return Answer(f"{said.text} {self.calls}") if held else said


class Broken:
    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        raise ProviderUnreachable("no answer", remedy="start it")


def grade(answer: Answer) -> Grade:
    return Grade("r1", "toy", y=int("mat" in answer.text), score=0.0)


def ask(
    generator: object, contexts: Contexts | None = None, **options: object
) -> tuple[Replayer, Replayed]:
    replayer = Replayer(lambda: generator, "toy", **options)  # type: ignore[arg-type, return-value]
    return replayer, replayer.replay(REQUEST, contexts or arm_contexts(LOGGED, GOLD), grade)


def test_a_generator_that_repeats_itself_is_asked_twice_where_the_verdict_rests() -> None:
    reader = Reader()
    _, found = ask(reader)
    twice = ["g", "g+", "r"]
    assert sorted(draw.arm for draw in found.draws) == sorted([*twice, *twice, "r-g", "none"])
    # Without gold in it the logged context is what is left of it without gold: asked about once.
    assert reader.calls == 7
    assert {arm: outcome.p for arm, outcome in outcomes(found.draws).items()} == {
        "r": 0.0,
        "g": 1.0,
        "g+": 1.0,
        "r-g": 0.0,
        "none": 0.0,
    }
    assert outcomes(found.draws)["g"].level == "high"
    assert outcomes(found.draws)["r"].level == "low"


def test_a_sampling_generator_is_asked_three_times_per_arm() -> None:
    found = outcomes(ask(Dice())[1].draws)
    assert {outcome.draws for outcome in found.values()} == {3}
    assert not any(outcome.deterministic for outcome in found.values())
    assert {outcome.draws for outcome in outcomes(ask(Dice(), draws=5)[1].draws).values()} == {5}


@pytest.mark.parametrize(
    ("word", "varied"), [("mat", {"g", "g+"}), ("noise", {"r", "g+", "r-g"}), ("", {*"rg", "g+"})]
)
def test_one_that_varies_on_any_arm_it_is_asked_twice_samples(word: str, varied: set[str]) -> None:
    found = outcomes(ask(Fickle(word))[1].draws)
    assert {outcome.draws for outcome in found.values()} == {3}
    assert not any(outcome.deterministic for outcome in found.values())
    assert varied <= {arm for arm, outcome in found.items() if outcome.varied}
    assert not found["none"].varied


def test_a_failure_is_no_other_answer() -> None:
    class Stumbling(Reader):
        def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
            said = super().answer(question, context)
            if self.calls % 3 == 0:
                raise ProviderUnreachable("no answer", remedy="start it")
            return said

    found = outcomes(ask(Stumbling())[1].draws)
    assert any(outcome.failed for outcome in found.values())
    assert all(outcome.deterministic and not outcome.varied for outcome in found.values())


def test_whether_it_repeats_itself_is_asked_of_each_generator() -> None:
    contexts = arm_contexts(LOGGED, GOLD)
    own = ask(Reader(), contexts)[1].draws
    stronger: Contexts = {"G+": contexts["g"], "G+r": contexts["r"]}
    other = Replayer(Dice, "other").replay(REQUEST, stronger, grade).draws
    found = outcomes([*own, *other])
    assert found["g"].deterministic
    assert not found["G+"].deterministic
    assert found["G+r"].draws == 3


def test_an_arm_that_could_not_be_answered_is_unsure() -> None:
    draws = ask(Broken())[1].draws
    assert all(draw.y is None for draw in draws)
    assert {outcome.level for outcome in outcomes(draws).values()} == {"unsure"}
    assert all(outcome.failed for outcome in outcomes(draws).values())
    assert not any(outcome.failed for outcome in outcomes(ask(Reader())[1].draws).values())


@pytest.mark.parametrize("made", [Reader, Dice])
def test_what_was_drawn_before_is_not_asked_again(made: type) -> None:
    first = ask(made())[1]
    kept = {draw.draw_key: draw for draw in first.draws}
    again = made()
    _, found = ask(again, kept=kept)
    assert again.calls == 0
    assert found == first
    assert ask(again, {"r": (*LOGGED, LOGGED[0])}, kept=kept)[1] != first  # another context
    assert again.calls > 0


def test_it_ends_where_the_budget_does_and_goes_on_from_there() -> None:
    reader = Reader()
    _, found = ask(reader, budget=Budget(max_calls=2))
    assert (reader.calls, found.complete) == (2, False)
    kept = {draw.draw_key: draw for draw in found.draws}
    _, whole = ask(reader, kept=kept, budget=Budget(max_calls=3))
    assert (reader.calls, whole.complete) == (5, False)
    kept = {draw.draw_key: draw for draw in whole.draws}
    _, whole = ask(reader, kept=kept, budget=Budget(max_calls=2))
    assert (reader.calls, whole.complete) == (7, True)


def test_calls_under_way_together_do_not_overspend() -> None:
    price = Price(prompt=0.0, completion=1e6, max_output_tokens=1)  # a dollar a call at most
    budget = Budget(max_cost_usd=3.5)
    _, found = ask(Dice(), budget=budget, price=price, concurrency=4)
    assert not found.complete
    assert (budget.calls, budget.cost_usd) == (3, 3.0)


def test_under_way_together_it_finds_the_same() -> None:
    assert ask(Reader(), concurrency=4)[1] == ask(Reader())[1]


def test_what_it_would_ask_is_counted_first() -> None:
    contexts = arm_contexts(LOGGED, GOLD)
    replayer, _ = ask(Reader(), {"none": ()})
    fewest, most = replayer.unknown(REQUEST, contexts)
    # Without context it has answered twice; r and r-g ask the same.
    assert (len(fewest), len(most)) == (6, 3 * 3 + 1)


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
