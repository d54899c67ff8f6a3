"""The toy corpus and its judged questions in a workspace, for tests of indexes that come and go."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from ragdiag.records import GoldAnswer, IndexBuild, Judgment, Passage, Question
from ragdiag.retrieval.builds import build_index
from ragdiag.settings import Workspace
from ragdiag.store.corpus import (
    add_documents,
    add_gold_answers,
    add_judgments,
    add_questions,
    load_passages,
)
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.results import save_build, save_version
from ragdiag.version import Version, parse_spec
from tests.conftest import TOY_PASSAGES, TOY_QUESTIONS

LEXICAL = "[lexical]\n[generator]\nkind = 'extractive'"
Build = Callable[..., IndexBuild]
Add = Callable[..., None]


def lexical_version() -> Version:
    return Version("lexical", parse_spec(LEXICAL, source="toy"))


@pytest.fixture
def version() -> Version:
    """BM25 alone: it builds and answers without a model."""
    return lexical_version()


@pytest.fixture(scope="session")
def stocked_workspace(
    tmp_path_factory: pytest.TempPathFactory, empty_workspace: Workspace
) -> Workspace:
    """The toy corpus with its judged questions and the version; to be copied, never opened."""
    workspace = Workspace(tmp_path_factory.mktemp("stocked") / "workspace")
    shutil.copytree(empty_workspace.root, workspace.root)
    lake = open_lake(workspace)
    add_documents(lake, [Passage(name, name, text) for name, text in TOY_PASSAGES.items()])
    add_questions(lake, [Question(q, text) for q, (text, _, _) in TOY_QUESTIONS.items()])
    add_judgments(lake, [Judgment(q, gold, 1, "test") for q, (_, gold, _) in TOY_QUESTIONS.items()])
    add_gold_answers(lake, [GoldAnswer(q, (said,)) for q, (_, _, said) in TOY_QUESTIONS.items()])
    save_version(lake, lexical_version())
    close_lakes()
    return workspace


@pytest.fixture
def corpus(copied: Callable[[Workspace], Lake], stocked_workspace: Workspace) -> Lake:
    """The lake of ``workspace``, stocked."""
    return copied(stocked_workspace)


@pytest.fixture
def add(corpus: Lake) -> Add:
    """``add("rust")`` adds a document of that name."""

    def added(*names: str) -> None:
        texts = {name: f"What is known about {name}." for name in names}
        add_documents(corpus, [Passage(name, name, text) for name, text in texts.items()])

    return added


@pytest.fixture
def build(corpus: Lake, workspace: Workspace, version: Version, add: Add) -> Build:
    """``build("rust")`` adds a document of that name, then builds and saves, publishing nothing."""

    def made(*fresh: str, of: Version = version) -> IndexBuild:
        if fresh:
            add(*fresh)
        one = build_index(load_passages(corpus), of.spec, workspace)
        save_build(corpus, one)
        return one

    return made
