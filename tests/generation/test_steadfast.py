"""One failure is a fact about its question; several in a row are one about the generator."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ragdiag.errors import GeneratorDown, PromptRefused, ProviderRefused
from ragdiag.generation.steadfast import LIMIT, REFUSED_LIMIT, SteadfastGenerator
from ragdiag.records import Answer, ContextPassage


class Flaky:
    """Fails on the question ``bad``, and refuses ``filtered``."""

    name = "flaky"

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        if question == "bad":
            raise ProviderRefused("the server said no", remedy="set KEY")
        if question == "filtered":
            raise PromptRefused("the content was refused", remedy="ask another")
        return Answer(text=question)


def test_failures_in_a_row_end_with_the_last_ones_remedy() -> None:
    generator = SteadfastGenerator(Flaky())
    for _ in range(LIMIT - 1):
        with pytest.raises(ProviderRefused):
            generator.answer("bad", ())
    with pytest.raises(GeneratorDown, match="3 answers in a row failed: the server said no; set"):
        generator.answer("bad", ())


def test_an_answer_between_them_starts_the_count_anew() -> None:
    generator = SteadfastGenerator(Flaky())
    for question in ("bad", "bad", "fine", "bad", "bad"):
        if question == "bad":
            with pytest.raises(ProviderRefused):
                generator.answer(question, ())
        else:
            assert generator.answer(question, ()).text == "fine"
    assert generator.name == "flaky"


def test_prompts_that_are_refused_each_for_itself_end_it_only_after_many() -> None:
    generator = SteadfastGenerator(Flaky())
    for question in ("bad", "filtered", "bad", "filtered", *["filtered"] * (REFUSED_LIMIT - 3)):
        with pytest.raises(ProviderRefused):
            generator.answer(question, ())
    with pytest.raises(GeneratorDown, match=f"{REFUSED_LIMIT} answers in a row"):
        generator.answer("filtered", ())
