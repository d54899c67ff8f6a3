"""Leaving one passage out at a time, with generators whose dependence on passages is known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from ragdiag.diagnosis.influence import (
    FAILED,
    answers_needed,
    influences,
    is_deterministic,
    leave_one_out,
    trial_of,
)
from ragdiag.errors import ProviderUnreachable
from ragdiag.records import Answer, ContextPassage, ContextTrial

A, B, C = (ContextPassage(name, text) for name, text in (("a", "mat"), ("b", "lure"), ("c", "x")))


class Reader:
    """Says where the cat is, unless it is lured; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        self.asked += 1
        texts = {passage.text for passage in context}
        return Answer("sofa" if "lure" in texts or "mat" not in texts else "mat")


class Dice(Reader):
    """Right with the mat, and never twice in the same words."""

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        self.asked += 1
        right = any(passage.text == "mat" for passage in context)
        return Answer(f"{'mat' if right else 'sofa'} number{self.asked}")


class Broken:
    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        raise ProviderUnreachable("no answer", remedy="start it")


def right(answer: Answer) -> int:
    return int("mat" in answer.text)


def tried(
    generator: Reader | Broken, context: Sequence[ContextPassage], **options: object
) -> list[ContextTrial]:
    attempt = trial_of("r1", "s", "Where is the cat?", generator, right)
    return list(leave_one_out(context, attempt, **options))  # type: ignore[arg-type]


def roles(context: Sequence[ContextPassage], trials: Sequence[ContextTrial]) -> dict[str, str]:
    return {one.passage_id: one.role for one in influences(context, trials, ())}


def test_the_passage_that_carries_a_right_answer_is_named() -> None:
    trials = tried(Reader(), (A, C))
    found = influences((A, C), trials, {"c"})
    assert [(one.passage_id, one.rank, one.role, one.cited) for one in found] == [
        ("a", 1, "carried", False),
        ("c", 2, "none", True),
    ]
    assert (found[0].delta.value, found[0].delta.low, found[0].answer_f1) == (1.0, 1.0, 0.0)
    assert (found[1].delta.value, found[1].answer_f1) == (0.0, 1.0)


def test_the_passage_that_misleads_is_named() -> None:
    found = influences((A, B, C), tried(Reader(), (A, B, C)), ())
    assert [one.role for one in found] == ["none", "misled", "none"]
    assert found[1].delta.value == -1.0


def test_a_generator_that_repeats_itself_is_asked_as_often_as_was_estimated() -> None:
    reader, dice = Reader(), Dice()
    tried(reader, (A, B, C))
    tried(dice, (A, B, C))
    assert (reader.asked, dice.asked) == answers_needed(3)
    tried(few := Reader(), (A, B, C), k=1)
    assert few.asked == answers_needed(1)[0]


def test_draws_give_an_interval_and_no_claim_on_words_alone() -> None:
    trials = tried(Dice(), (A, C))
    carried, other = influences((A, C), trials, ())
    assert not is_deterministic(trials)
    assert carried.role == "carried"
    assert carried.delta.value == pytest.approx(3.5 / 4 - 0.5 / 4)
    assert 0 < carried.delta.low < carried.delta.value < carried.delta.high <= 1
    assert (other.role, other.moved) == ("unsure", None)
    assert other.delta.low < 0 < other.delta.high


def test_what_was_tried_is_not_tried_again() -> None:
    first = tried(Reader(), (A, B, C))
    again = Reader()
    assert tried(again, (A, B, C), known=first[:3]) == first[3:]
    assert again.asked == len(first) - 3


def test_a_passage_found_twice_is_left_out_twice() -> None:
    assert roles((A, C, A), tried(Reader(), (A, C, A))) == {"a": "carried", "c": "none"}


def test_two_passages_that_say_the_same_hide_one_another() -> None:
    twin = ContextPassage("twin", "mat")
    assert roles((A, twin), tried(Reader(), (A, twin))) == {"a": "none", "twin": "none"}


def test_without_a_gold_answer_only_the_change_is_told() -> None:
    attempt = trial_of("r1", "s", "?", Reader(), lambda answer: None)
    found = influences((A, C), list(leave_one_out((A, C), attempt)), ())
    assert [one.role for one in found] == ["changed", "none"]
    assert found[0].delta.reason == "no gold answer says what is right"


def test_an_answer_that_failed_is_no_trial() -> None:
    assert tried(Broken(), (A, C)) == []
    assert influences((A, C), [], ()) == []
    flaky = itertools.cycle([True, False])

    class Flaky(Reader):
        def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
            if not next(flaky):
                raise ProviderUnreachable("no answer", remedy="start it")
            return super().answer(question, context)

    trials = tried(Flaky(), (A, C))
    assert all(trial.answer for trial in trials)


def test_a_passage_without_which_the_generator_failed_is_unknown_not_idle() -> None:
    class Shy(Reader):
        def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
            if A not in context:
                raise ProviderUnreachable("no answer", remedy="start it")
            return super().answer(question, context)

    trials = tried(Shy(), (A, C, B))
    failed, idle, lure = influences((A, C, B), trials, {"a"})
    assert (failed.passage_id, failed.role, failed.moved) == ("a", "unsure", None)
    assert (failed.rank, failed.cited, failed.delta.reason) == (1, True, FAILED)
    assert (idle.role, lure.role) == ("none", "misled")
    assert [one.passage_id for one in influences((A, C, B), trials, (), k=1)] == ["a"]
