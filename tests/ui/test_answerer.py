"""Processes that answer for the dashboard: real ones, over the toy corpus, without an embedder."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ragdiag.errors import HelperEnded
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.ui import answerer as module
from ragdiag.ui.answerer import Answerer, answerer, ask_each
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.indexing.build import release_index
from tests.stocked import add as add
from tests.stocked import corpus as corpus
from tests.stocked import stocked_workspace as stocked_workspace
from tests.stocked import version as version

ASKED = "How hot is the water\nfor green tea?"
WORDLESS = """
[lexical]
[generator]
kind = "openai"
model = "nobody"
base_url = "http://127.0.0.1:9"
retries = 0
"""


@pytest.fixture
def built(corpus: Lake, workspace: Workspace, version: Version) -> str:
    release_index(corpus, workspace, version, by="test")
    return version.version_id


@pytest.fixture
def helper(workspace: Workspace, built: str) -> Iterator[Answerer]:
    one = Answerer(workspace, built)
    yield one
    one.stop()


def test_one_process_answers_until_it_is_stopped(
    corpus: Lake, helper: Answerer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not helper.runs
    request = helper.ask(ASKED)
    assert request.question == "How hot is the water for green tea?"
    assert request.fused[0].passage_id == "tea"
    assert "eighty degrees" in request.answer
    first = helper._process
    assert helper.ask("How long do cats sleep?").fused[0].passage_id == "cats"
    assert helper._process is first
    assert corpus.rows("select count(*) as n from requests") == [{"n": 0}]
    monkeypatch.setattr(module, "IDLE_S", 0.05)
    helper.ask("What is glass made of?")
    deadline = time.monotonic() + 20
    while helper.runs:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def wordless(corpus: Lake, workspace: Workspace) -> str:
    """A version that finds passages and has nobody to read them, so its process loads no model."""
    version = Version("wordless", parse_spec(WORDLESS, source="toy"))
    save_version(corpus, version)
    release_index(corpus, workspace, version, by="test")
    return version.version_id


def test_a_process_that_was_killed_is_started_again(workspace: Workspace, wordless: str) -> None:
    helper = Answerer(workspace, wordless)
    try:
        helper._start()
        assert helper._process is not None
        helper._process.kill()
        helper._process.wait()
        assert helper.ask(ASKED).fused[0].passage_id == "tea"
    finally:
        helper.stop()


def test_what_cannot_be_asked_says_why_and_the_other_answers(
    corpus: Lake, workspace: Workspace, wordless: str
) -> None:
    bare = "[lexical]\nk1 = 2\n[generator]\nkind = 'extractive'"
    unbuilt = Version("unbuilt", parse_spec(bare, source="toy"))
    save_version(corpus, unbuilt)
    try:
        well, ended = ask_each(workspace, [wordless, unbuilt.version_id], ASKED)
    finally:
        answerer.clear()
    assert not isinstance(well, HelperEnded)
    assert well.fused[0].passage_id == "tea"
    assert isinstance(ended, HelperEnded)
    assert "version unbuilt has no index build" in str(ended)


def test_what_is_no_request_says_why(
    workspace: Workspace, wordless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = Answerer(workspace, wordless)
    monkeypatch.setattr(helper, "_start", lambda: None)
    monkeypatch.setattr(helper, "_exchange", lambda question: b'{"schema": 1, "kind": "odd"}')
    try:
        with pytest.raises(HelperEnded, match="is no request: kind 'odd' is none of"):
            helper.ask(ASKED)
    finally:
        helper.stop()


def test_a_process_that_is_too_late_is_ended(
    helper: Answerer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_S", 0.05)
    with pytest.raises(HelperEnded, match="the whole log is in"):
        helper.ask(ASKED)
    assert not helper.runs
