"""A workspace of eight passages and a lexical version, and builds of it as its corpus grows."""

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
from tests.retrieval.conftest import tiny_model as tiny_model

LEXICAL = "[lexical]\n[generator]\nkind = 'extractive'"
Build = Callable[..., IndexBuild]


@pytest.fixture
def version() -> Version:
    return Version("lexical", parse_spec(LEXICAL, source="toy"))


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
    save_version(lake, Version("lexical", parse_spec(LEXICAL, source="toy")))
    close_lakes()
    return workspace


@pytest.fixture
def corpus(copied: Callable[[Workspace], Lake], stocked_workspace: Workspace) -> Lake:
    return copied(stocked_workspace)


@pytest.fixture
def build(corpus: Lake, workspace: Workspace, version: Version) -> Build:
    """``build("rust")`` adds a document of that name, then builds and saves, publishing nothing."""

    def made(*fresh: str, of: Version = version) -> IndexBuild:
        if fresh:
            texts = {name: f"What is known about {name}." for name in fresh}
            add_documents(corpus, [Passage(name, name, text) for name, text in texts.items()])
        one = build_index(load_passages(corpus), of.spec, workspace)
        save_build(corpus, one)
        return one

    return made
