"""One failure is a fact about its question; several in a row are one about the generator."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ragdiag.errors import GeneratorDown, ProviderRefused
from ragdiag.generation.steadfast import LIMIT, SteadfastGenerator
from ragdiag.records import Answer, ContextPassage


class Flaky:
    """Fails on the question ``bad``."""

    name = "flaky"

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        if question == "bad":
            raise ProviderRefused("the server said no", remedy="set KEY")
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
