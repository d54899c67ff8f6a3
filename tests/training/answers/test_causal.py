"""A small language model learns to read codes, and serves what it learned."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ragdiag.errors import ModelError, TrainingError
from ragdiag.generation.local import load_transformers
from ragdiag.metrics.answers import exact_match
from ragdiag.records import ContextPassage
from ragdiag.training.answers.causal import encode_examples, train_generator
from ragdiag.training.answers.located import AnswerExample
from ragdiag.training.loop import CHECKPOINT, LoopOptions
from ragdiag.version import TransformersSpec
from tests.taught import TaughtLanguage
from tests.training.toy_language import DEV, OPTIONS, codes, toy_tokenizer

SHORT = LoopOptions(epochs=1, batch=8, learning_rate=5e-3, keep_s=0.0)


class Killed(Exception):
    """Stands for SIGKILL: nothing is tidied up on its way out."""


def matched(spec: TransformersSpec, examples: list[AnswerExample]) -> float:
    generator = load_transformers(spec)
    said = [generator.answer(one.question, one.context).text for one in examples]
    return sum(exact_match(s, e.answers) for s, e in zip(said, examples, strict=True)) / len(said)


@pytest.mark.slow
def test_it_learns_to_answer_what_it_never_saw(taught_language: TaughtLanguage) -> None:
    found = taught_language.trained
    assert matched(found.spec.model_copy(update={"adapter": None}), DEV) < 0.05
    assert found.exact_match > 0.8
    assert found.trained.best_score == pytest.approx(found.token_f1)
    assert matched(found.spec, codes(40, 200)) > 0.8
    assert found.refused == ()


@pytest.mark.slow
def test_what_is_served_answers_as_it_did_in_training(taught_language: TaughtLanguage) -> None:
    found = taught_language.trained
    generator = load_transformers(found.spec)
    assert generator.name == "transformers:base+adapter"
    for one in DEV:
        served = generator.answer(one.question, one.context)
        assert replace(served, model="") == replace(found.answers[one.question_id], model="")
        assert set(served.citations) <= {passage.passage_id for passage in one.context}
    assert sum(bool(answer.citations) for answer in found.answers.values()) > 0.8 * len(DEV)


@pytest.mark.slow
def test_the_adapter_serves_its_own_base_alone(
    taught_language: TaughtLanguage, tmp_path: Path
) -> None:
    adapter = Path(taught_language.trained.spec.adapter or "")
    assert {path.name for path in adapter.iterdir()} >= {
        "adapter_config.json",
        "adapter_model.safetensors",
        "ragdiag-adapter.json",
    }
    assert json.loads((adapter / "adapter_config.json").read_text())["modules_to_save"] is None
    other = tmp_path / "other"
    shutil.copytree(taught_language.base, other)
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(weights)
    spec = taught_language.trained.spec.model_copy(update={"model": str(other)})
    with pytest.raises(ModelError, match=r"was trained on base \(.*…\), not on .*other"):
        load_transformers(spec)
    touched = tmp_path / "touched"
    shutil.copytree(adapter, touched)
    with (touched / "adapter_model.safetensors").open("ab") as file:
        file.write(b"x")
    spec = taught_language.trained.spec.model_copy(update={"adapter": str(touched)})
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors is not the file that was"):
        load_transformers(spec)


@pytest.mark.slow
def test_every_weight_can_be_trained_and_to_decline_is_learned_too(
    language_base: Path, tmp_path: Path
) -> None:
    options = replace(OPTIONS, method="full", declines=True)
    found = train_generator(
        str(language_base), codes(40, 1), codes(10, 2), options, SHORT, tmp_path
    )
    assert (found.spec.model, found.spec.adapter) == (str(tmp_path / "model"), None)
    assert len(found.answers) == 20
    assert found.trained.steps == 10
    served = load_transformers(found.spec)
    for one in codes(10, 2):
        assert served.answer(one.question, one.context).text == found.answers[one.question_id].text


@pytest.mark.slow
def test_a_killed_run_ends_where_the_whole_one_does(language_base: Path, tmp_path: Path) -> None:
    examples, dev = codes(40, 3), codes(10, 4)

    def kill(fraction: float, message: str) -> None:
        if message.startswith("step 3 "):
            raise Killed

    base = str(language_base)
    whole = train_generator(base, examples, dev, OPTIONS, SHORT, tmp_path / "whole")
    with pytest.raises(Killed):
        train_generator(base, examples, dev, OPTIONS, SHORT, tmp_path / "cut", kill)
    assert not (tmp_path / "cut" / "adapter").exists()
    resumed = train_generator(base, examples, dev, OPTIONS, SHORT, tmp_path / "cut")
    kept = [tmp_path / name / "adapter" / "adapter_model.safetensors" for name in ("whole", "cut")]
    assert kept[0].read_bytes() == kept[1].read_bytes()
    assert resumed.answers == whole.answers


@pytest.mark.slow
def test_a_loss_that_is_no_number_is_told(language_base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(language_base, broken)
    weights = load_file(broken / "model.safetensors")
    weights["lm_head.weight"][:] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrainingError, match="not a number at step"):
        train_generator(str(broken), codes(20, 1), codes(10, 2), OPTIONS, SHORT, tmp_path / "run")
    assert (tmp_path / "run" / CHECKPOINT).is_file()
    assert not (tmp_path / "run" / "adapter").exists()


def test_too_few_examples_are_told_before_a_model_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="9 of 9 training examples can be used, and 10 are"):
        train_generator("no/such", codes(9, 1), DEV, OPTIONS, SHORT, tmp_path)
    with pytest.raises(ModelError, match="no model at no/such"):
        train_generator("no/such", codes(10, 1), DEV, OPTIONS, SHORT, tmp_path)


def test_what_does_not_fit_the_window_is_refused() -> None:
    tokenizer = toy_tokenizer()
    facts = tuple(ContextPassage(f"p{n}", f"k{n} v{n} . " * 4) for n in range(3))
    early = AnswerExample("early", "k0", ("v0",), facts)
    late = AnswerExample("late", "k2", ("v2",), facts)
    long = AnswerExample("long", "k0", ("v0 . k0 v0 . k0 v0",), facts)
    huge = AnswerExample("huge", "k0 " * 60, ("v0",), facts)
    whole, _ = encode_examples(tokenizer, [early], 128, OPTIONS)
    sequences, refused = encode_examples(tokenizer, [early, late, long, huge], 50, OPTIONS)
    assert len(sequences) == 1
    assert len(sequences[0].tokens) <= 50 < len(whole[0].tokens)
    assert sequences[0].learned == 3
    assert tokenizer.decode(sequences[0].tokens[-3:]) == "v0 [1] <end>"
    assert {one.question_id: one.reason for one in refused} == {
        "late": "its gold passage is beyond 50 tokens",
        "long": "its answer is over max_output_tokens",
        "huge": "it is longer than 50 tokens",
    }
