"""Questions asked, graded and diagnosed with models of this process as the generator."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ragdiag.pipeline import open_pipeline
from ragdiag.records import GoldAnswer, Judgment, Passage, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_gold_answers, add_judgments, add_questions
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.training.answers.located import AnswerExample
from ragdiag.training.answers.reader import TrainedReader
from ragdiag.version import GeneratorSpec, LexicalSpec, Spec, Version
from ragdiag.workflows.comparing.evaluate import evaluate
from ragdiag.workflows.indexing.build import build_version_index
from tests.diagnosed import diagnose
from tests.taught import TaughtLanguage
from tests.training.toy_language import codes
from tests.training.toy_reading import things

pytestmark = pytest.mark.slow


def stock(
    lake: Lake, workspace: Workspace, examples: Sequence[AnswerExample], generator: GeneratorSpec
) -> Version:
    """A version over the passages of ``examples``, and a question that BM25 cannot place."""
    passages = [passage for one in examples for passage in one.context]
    add_documents(lake, [Passage(p.passage_id, p.passage_id, p.text) for p in passages])
    lost = "qwertz"
    questions = [Question(one.question_id, one.question) for one in examples]
    add_questions(lake, [*questions, Question(lost, lost)])
    add_gold_answers(lake, [GoldAnswer(one.question_id, one.answers) for one in examples])
    add_gold_answers(lake, [GoldAnswer(lost, examples[0].answers)])
    gold = {one.question_id: one for one in examples} | {lost: examples[0]}
    add_judgments(
        lake,
        [
            Judgment(name, passage.passage_id, 1, "test")
            for name, one in gold.items()
            for passage in one.context
            if one.answers[0] in passage.text
        ],
    )
    version = Version("local", Spec(lexical=LexicalSpec(stopwords="none"), generator=generator))
    save_version(lake, version)
    build_version_index(lake, workspace, version)
    return version


def test_a_language_model_answers_and_is_diagnosed(
    lake: Lake, workspace: Workspace, taught_language: TaughtLanguage
) -> None:
    spec = taught_language.trained.spec
    version = stock(lake, workspace, codes(2, 500), spec)
    request = open_pipeline(lake, workspace, version).ask(codes(2, 500)[0].question)
    assert request.status == "ok"
    assert request.prompt_tokens is not None
    assert request.latency_ms["generation"] > 0
    found = evaluate(lake, workspace, version, "test")
    assert {one.status for one in found.requests} <= {"ok", "no_answer"}
    summary = diagnose(lake, workspace, version, split="test")
    assert summary.failures >= 1


def test_a_reader_answers_in_the_passages_words_and_is_diagnosed(
    lake: Lake, workspace: Workspace, taught_reader: TrainedReader
) -> None:
    examples = things(6, 500)
    version = stock(lake, workspace, examples, taught_reader.spec)
    texts = {p.passage_id: p.text for one in examples for p in one.context}
    found = evaluate(lake, workspace, version, "test")
    answered = [one for one in found.requests if one.status == "ok"]
    assert answered
    for request in answered:
        assert request.answer
        assert request.answer in texts[request.citations[0]]
    summary = diagnose(lake, workspace, version, split="test")
    assert summary.failures >= 1
