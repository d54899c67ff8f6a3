"""Production's questions put to a shadow again: once for each time that it is started."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragdiag.identifiers import shadow_id
from ragdiag.pipeline import open_pipeline
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests, save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.releasing.decisions import decide
from ragdiag.workflows.releasing.deployment import (
    Terms,
    replay_into_shadow,
    roll_back,
    set_production,
    start_shadow,
)
from ragdiag.workflows.releasing.shadow import Replayed
from tests.answered import log
from tests.conftest import TOY_QUESTIONS
from tests.stocked import Build

TERMS = Terms(planned_n=30)


@pytest.fixture
def tried(corpus: Lake, workspace: Workspace, version: Version, build: Build) -> Version:
    """A version beside production, which has answered every question."""
    spec = "[lexical]\nk1 = 0.9\n[generator]\nkind = 'extractive'"
    tried = Version("tried", parse_spec(spec, source="toy"))
    save_version(corpus, tried)
    for one in (version, tried):
        build(of=one)
    pipeline = open_pipeline(corpus, workspace, version)
    asked = [pipeline.ask(text, question_id=name) for name, (text, _, _) in TOY_QUESTIONS.items()]
    log(corpus, workspace, [replace(one, traffic="production") for one in asked])
    set_production(corpus, version.name, actor="ada")
    return tried


def test_a_shadow_that_is_started_again_asks_anew(
    corpus: Lake, workspace: Workspace, tried: Version
) -> None:
    n = len(TOY_QUESTIONS)
    for _ in range(2):
        start_shadow(corpus, workspace, tried.name, TERMS, actor="ada")
        assert replay_into_shadow(corpus, workspace, n) == Replayed(n, known=0, hidden=0)
        assert replay_into_shadow(corpus, workspace, n) == Replayed(0, known=n, hidden=0)
        look = decide(corpus, workspace, apply=False, actor="ada").look
        assert (look.n, look.judged) == (n, n)
        roll_back(corpus, "shadow", actor="ada")
    assert len(load_requests(corpus, traffic="shadow")) == 2 * n


def test_what_it_was_asked_as_it_was_served_is_not_replayed(
    corpus: Lake, workspace: Workspace, tried: Version
) -> None:
    n = len(TOY_QUESTIONS)
    start_shadow(corpus, workspace, tried.name, TERMS, actor="ada")
    followed = load_requests(corpus, traffic="production")[0]
    mirrored = open_pipeline(corpus, workspace, tried).ask(followed.question)
    served = replace(
        mirrored,
        request_id=shadow_id(followed.request_id, tried.version_id),
        traffic="shadow",
    )
    log(corpus, workspace, [served])
    assert replay_into_shadow(corpus, workspace, n) == Replayed(n - 1, known=1, hidden=0)
    assert decide(corpus, workspace, apply=False, actor="ada").look.n == n
    roll_back(corpus, "shadow", actor="ada")
    start_shadow(corpus, workspace, tried.name, TERMS, actor="ada")
    assert replay_into_shadow(corpus, workspace, n) == Replayed(n, known=0, hidden=0)
