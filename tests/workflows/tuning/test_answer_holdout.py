"""Made questions: a server that is down is no wrong answer, and prices are not paid unasked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from ragdiag.errors import GeneratorDown, ProviderRefused
from ragdiag.pipeline import Pipeline, open_pipeline
from ragdiag.records import Answer, ContextPassage
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake, close_lakes
from ragdiag.training.answers.located import AnswerExample
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.tuning import answer_holdout
from ragdiag.workflows.tuning.answer_holdout import ask_made, unasked_reason
from tests.workflows.aliases import DENSE, fill

SERVED = DENSE.split("[generator]")[0] + "[generator]\nkind = 'openai'\nmodel = 'm'\n"
PRICES = "prompt_price = 1.0\ncompletion_price = 2.0"


@pytest.fixture
def filled(workspace: Workspace) -> Iterator[tuple[Lake, Version]]:
    yield fill(workspace)
    close_lakes()


class Down:
    name = "down"

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        raise ProviderRefused("no route", remedy="start it")


@pytest.mark.slow
def test_a_generator_that_is_down_ends_it(
    filled: tuple[Lake, Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, version = filled

    def opened(lake: Lake, workspace: Workspace, version: Version) -> Pipeline:
        return open_pipeline(lake, workspace, version).with_parts(generator=Down())

    made = [AnswerExample("bell#blorf", f"bell {n}?", ("49 euros",), ()) for n in range(4)]
    assert len(ask_made(lake, lake.workspace, version, version, made)) == 4
    monkeypatch.setattr(answer_holdout, "open_pipeline", opened)
    with pytest.raises(GeneratorDown, match="3 answers in a row failed: no route; start it"):
        ask_made(lake, lake.workspace, version, version, made)


def test_a_generator_with_prices_is_asked_no_made_questions() -> None:
    free, priced = (
        Version(
            "mine", parse_spec(f"{SERVED}base_url = 'http://127.0.0.1:9/v1'\n{more}", source="")
        )
        for more in ("", PRICES)
    )
    assert unasked_reason(free) is None
    told = "synthetic questions were not asked: the generator of mine has prices"
    assert unasked_reason(priced) == told
