"""What the options of ``tune`` say is what is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.tuning import late_interaction, reranker, retriever
from tests.stocked import corpus as corpus
from tests.stocked import stocked_workspace as stocked_workspace
from tests.test_cli import Command
from tests.test_cli import command as command
from tests.training_runs import DONE, save_toy_run

DENSE = "[embedder]\n[generator]\nkind = 'extractive'"
PRICED = """[embedder]
[generator]
kind = "openai"
model = "m"
base_url = "http://127.0.0.1:9/v1"
prompt_price = 1.0
completion_price = 2.0
"""


@pytest.fixture
def asked(corpus: Lake, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What each call would train, instead of training."""
    save_version(corpus, Version("dense", parse_spec(DENSE, source="toy")))
    save_version(corpus, Version("priced", parse_spec(PRICED, source="toy")))
    found: list[Any] = []
    monkeypatch.setattr(retriever, "tune_retriever", lambda *given: found.append(given[3]))
    monkeypatch.setattr(reranker, "tune_reranker", lambda *given: found.append(given[3]))
    monkeypatch.setattr(
        late_interaction, "tune_late_interaction", lambda *given: found.append(given[3])
    )
    return found


def test_options_of_late_interaction_reach_it(asked: list[Any], command: Command) -> None:
    command.text(
        *("tune", "late-interaction", "dense", "--epochs", "2", "--augment", "3", "--seed", "7"),
        *("--learning-rate", "0.001", "--save-as", "better", "--method", "lora"),
    )
    (tuning,) = asked
    assert (tuning.epochs, tuning.learning_rate, tuning.save_as) == (2, 0.001, "better")
    assert tuning.method == "lora"
    assert (tuning.learn.hard, tuning.learn.augment, tuning.learn.seed) == (0, 3, 7)


def test_options_of_a_retriever_reach_it(
    asked: list[Any], command: Command, corpus: Lake, workspace: Workspace
) -> None:
    save_toy_run(corpus, workspace, "r1", "cancelled", DONE)
    command.text(
        *("tune", "retriever", "dense", "--no-labels", "--negatives", "0", "--cached", "8"),
        *("--mix", "pairs.jsonl", "--bits", "4", "--dropout", "0.1", "--scale", "30"),
        *("--margin", "0.3", "--data-of", "r1"),
    )
    (tuning,) = asked
    assert (tuning.learn.split, tuning.learn.hard, tuning.learn.mix) == (None, 0, "pairs.jsonl")
    assert (tuning.learn.data_of, tuning.learn.writer) == ("r1", None)
    assert (tuning.cached, tuning.bits, tuning.lora.dropout) == (8, 4, 0.1)
    assert (tuning.scale, tuning.margin) == (30.0, 0.3)
    told = command.mistake("tune", "reranker", "dense", "--data-of", "r1")
    assert "training run r1 is of a retriever, whose texts are others" in told


@pytest.mark.parametrize("kind", ["retriever", "reranker"])
def test_a_priced_writer_is_not_asked_before_yes(
    asked: list[Any], command: Command, kind: str
) -> None:
    given = ("tune", kind, "dense", "--generate", "50", "--writer", "priced")
    told = command.json(*given)
    assert told == {"price": "up to 100 calls and 0.49 USD"}
    assert "Nothing was asked: add --yes" in command.text(*given)
    assert not asked
    command.text(*given, "--yes")
    assert (asked[0].learn.generate, asked[0].learn.writer) == (50, "priced")
    command.text("tune", kind, "dense", "--generate", "50")
    assert asked[1].learn.writer == "dense"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--scale", "1e30", "should be less than or equal to 1000"),
        ("--scale", "nan", "should be less than or equal to 1000"),
        ("--alpha", "1e30", "should be less than or equal to 4096"),
    ],
)
def test_what_would_leave_the_numbers_is_refused_before_any_work(
    asked: list[Any], command: Command, option: str, value: str, said: str
) -> None:
    assert said in command.mistake("tune", "retriever", "dense", option, value)
    assert not asked
