"""A small encoder learns to mark answers, to decline, and serves what it learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ragdiag.errors import ModelError, TrainingError
from ragdiag.generation.loading import load_tokenizer
from ragdiag.generation.reader import load_reader
from ragdiag.generation.spans import ReaderSettings, Span, SpanModel
from ragdiag.records import ContextPassage
from ragdiag.training.answers.located import AnswerExample
from ragdiag.training.answers.reader import (
    TrainedReader,
    best_threshold,
    label_windows,
    train_reader,
)
from ragdiag.training.loop import LoopOptions
from ragdiag.version import ReaderSpec
from tests.training.toy_reading import OPTIONS, make_encoder, things

SHORT = LoopOptions(epochs=1, batch=8, learning_rate=1e-3)
ONE = AnswerExample("q", "which city was it ?", ("oslo",), (ContextPassage("p", "it was oslo ."),))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.mark.slow
def test_it_learns_to_mark_answers_and_to_decline(taught_reader: TrainedReader) -> None:
    assert taught_reader.trained.first_score < 0.7
    assert taught_reader.token_f1 > 0.9
    generator = load_reader(taught_reader.spec)
    fresh = things(30, 200)
    said = [generator.answer(one.question, one.context) for one in fresh]
    right = [a.text == one.answers[0] for a, one in zip(said, fresh, strict=True)]
    assert sum(right) > 0.8 * len(fresh)
    gold = [a.citations == (one.context[1].passage_id,) for a, one in zip(said, fresh, strict=True)]
    assert sum(gold) >= sum(right)
    absent = [generator.answer(one.question, one.context[:1]) for one in fresh]
    assert sum(a.status == "no_answer" and not a.text for a in absent) > 0.8 * len(fresh)


@pytest.mark.slow
def test_a_threshold_in_the_spec_overrules_the_one_of_training(
    taught_reader: TrainedReader,
) -> None:
    shy = taught_reader.spec.model_copy(update={"threshold": 999.0})
    one = things(1, 300)[0]
    assert load_reader(shy).answer(one.question, one.context).status == "no_answer"
    bold = taught_reader.spec.model_copy(update={"threshold": -999.0})
    assert load_reader(bold).answer(one.question, one.context[:1]).status == "ok"
    assert load_reader(bold).answer(one.question, ()).status == "no_answer"


@pytest.mark.slow
def test_an_adapter_is_merged_into_what_is_kept(encoder: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, method="lora")
    found = train_reader(str(encoder), things(20, 1), things(10, 2), options, SHORT, tmp_path)
    assert not (tmp_path / "model" / "adapter_config.json").exists()
    assert load_reader(found.spec).name == "reader:model"


def test_a_model_that_marks_no_answers_is_refused(encoder: Path) -> None:
    with pytest.raises(ModelError, match=r"has no weights for qa_outputs.*QuestionAnswering"):
        load_reader(ReaderSpec(kind="reader", model=str(encoder)))
    with pytest.raises(ModelError, match="no model at no/such"):
        load_reader(ReaderSpec(kind="reader", model="no/such"))


def test_too_few_or_too_long_answers_are_told(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="9 of 9 training examples"):
        train_reader(str(encoder), things(9, 1), things(10, 2), OPTIONS, SHORT, tmp_path)
    long = [
        AnswerExample(f"q{n}", "which city ?", ("new york",), (ContextPassage("p", "new york ."),))
        for n in range(10)
    ]
    options = replace(OPTIONS, max_answer_tokens=1)
    with pytest.raises(TrainingError, match="no answer has at most 1 tokens"):
        train_reader(str(encoder), long, long, options, SHORT, tmp_path)


def test_labels_are_the_answers_tokens_or_the_mark_in_front(encoder: Path) -> None:
    spans = SpanModel(None, load_tokenizer(encoder), ReaderSettings(max_tokens=48))
    spans = replace(spans, model=_Sized())
    gone = replace(ONE, answers=(), question_id="gone", context=(ContextPassage("p", "a cat ."),))
    known = AnswerExample(
        "known",
        ONE.question,
        ("oslo",),
        (*ONE.context, ContextPassage("other", "oslo too")),
        gold=frozenset({"p"}),
    )
    found = label_windows(spans, [ONE, gone, known, ONE], 5)
    tokens = spans.tokenizer.convert_ids_to_tokens(found[0].window.encoded["input_ids"])
    assert tokens[found[0].start : found[0].end + 1] == ["oslo"]
    assert [(one.start, one.end) for one in found[1:]] == [(0, 0)]


def test_the_threshold_lies_in_the_widest_gap_of_the_best() -> None:
    def read(margin: float, right: bool, answerable: bool) -> tuple[AnswerExample, Span]:
        start = 7 if right else 0
        one = ONE if answerable else replace(ONE, answers=())
        return one, Span(0, start, start + 4 if right else 2, margin)

    easy = [read(5.0, True, True), read(4.0, True, True), read(-2.0, False, False)]
    assert best_threshold(easy) == (1.0, 1.0)
    mixed = [*easy, read(4.5, False, False)]
    assert best_threshold(mixed) == (1.0, 0.75)
    assert best_threshold([(replace(ONE, answers=()), None)]) == (0.0, 1.0)


class _Sized:
    class config:  # noqa: N801
        max_position_embeddings = 48
