"""What settings cost when they are tried: none pays for another, and none is always asked first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ragdiag.generation.extractive import ExtractiveGenerator
from ragdiag.records import Answer, ContextPassage, Passage, Request
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import ExtractiveSpec, Spec, Version, parse_spec
from ragdiag.workflows.diagnosing.what_if import Outcome, WhatIf
from ragdiag.workflows.indexing.build import build_version_index
from tests.answered import OLD, answer
from tests.counted_work import CountingEncoder

EXTRACTIVE = "kind = 'extractive'"
SERVED = "kind = 'openai'\nmodel = 'm'\nprompt_price = 1.0\ncompletion_price = 1.0"


class Recorder:
    """Answers everything, and keeps who was asked with how many passages."""

    name = "recorder"

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        self.asked.append((question, len(context)))
        return Answer(text="yes", model=self.name)


def try_settings(
    lake: Lake,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    generator: Any,
    ks: Sequence[int],
) -> list[list[Outcome]]:
    """The outcomes of two logged questions with so many passages in the prompt."""
    spec = parse_spec(f"[lexical]\n[generator]\n{kind}", source="toy")
    version = Version("v", spec)
    add_documents(lake, [Passage(f"p{n}", "d", f"Item {n} is set to {n}.") for n in range(10)])
    save_version(lake, version)
    build = build_version_index(lake, workspace, version)
    monkeypatch.setattr("ragdiag.workflows.diagnosing.what_if.load_generator", lambda _: generator)
    what_if = WhatIf(lake, workspace, spec, build.build_id, {}, {})
    requests: list[Request] = [answer(n, OLD, rank=1) for n in range(2)]
    to_answer = {one.request_id for one in requests}
    found = [what_if.find(_with(spec, k), requests, to_answer) for k in ks]
    return what_if.answer(requests, found)


def _with(spec: Spec, k: int) -> Spec:
    return spec.model_copy(update={"context": spec.context.model_copy(update={"k": k})})


def test_no_setting_pays_for_sentences_that_the_next_one_finds_kept(
    lake: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = CountingEncoder()
    monkeypatch.setattr("ragdiag.workflows.diagnosing.what_if.timed", encoder.timed)
    generator = ExtractiveGenerator(ExtractiveSpec(), encoder)
    told = try_settings(lake, workspace, monkeypatch, EXTRACTIVE, generator, (3, 3, 2, 4))
    assert [one.answered_ms for outcomes in told for one in outcomes] == [0.0] * 8
    assert encoder.texts > 0


def test_settings_take_turns_at_being_asked_first_and_prices_are_paid_once(
    lake: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    try_settings(lake, workspace, monkeypatch, SERVED, recorder, (3, 2, 3))
    first, second = "How is item 0 set?", "How is item 1 set?"
    assert recorder.asked == [(first, 3), (first, 2), (second, 2), (second, 3)]
