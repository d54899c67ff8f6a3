"""A process that answers for long moves to what is published, and no question pays for it."""

from __future__ import annotations

import logging
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from ragdiag.deploy import follow
from ragdiag.deploy.follow import FollowingPipeline
from ragdiag.deploy.publish import begin_history, publish_build, roll_back
from ragdiag.errors import IndexFault
from ragdiag.pipeline import open_pipeline
from ragdiag.records import Answer, ContextPassage, IndexBuild
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.version import Version

Build = Callable[..., IndexBuild]
QUESTION = "What is known about rust?"


class Quoting:
    """Answers with the first passage of its context, as fast as a thousand questions need it."""

    name = "quoting"

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        return Answer(context[0].text if context else "")


@pytest.fixture
def two(corpus: Lake, workspace: Workspace, build: Build, version: Version) -> tuple[str, str]:
    """The build that serves, and one that also knows about rust."""
    old = build().build_id
    begin_history(corpus, workspace, version.spec.index_key)
    return old, build("rust").build_id


def test_a_thousand_questions_outlive_a_publication_and_a_rollback(
    corpus: Lake, workspace: Workspace, version: Version, two: tuple[str, str]
) -> None:
    old, new = two
    following = FollowingPipeline(corpus, workspace, version)

    def ask(number: int) -> tuple[str, bool]:
        if number == 300:
            publish_build(workspace, version.spec.index_key, new, by="test")
        if number == 700:
            roll_back(workspace, version, by="test")
        request = following.current().with_parts(generator=Quoting()).ask(QUESTION)
        return request.build_id, request.answer == "What is known about rust."

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(1000)))
    found = defaultdict(set)
    for build_id, knows in answers:
        found[build_id].add(knows)
    assert found == {old: {False}, new: {True}}
    assert following.current().build_id == old


def test_who_has_a_pipeline_finishes_on_its_build(
    corpus: Lake, workspace: Workspace, version: Version, two: tuple[str, str]
) -> None:
    begun = open_pipeline(corpus, workspace, version)
    publish_build(workspace, version.spec.index_key, two[1], by="test")
    assert begun.ask(QUESTION).build_id == two[0]
    assert open_pipeline(corpus, workspace, version).build_id == two[1]


def test_a_build_that_cannot_be_opened_leaves_the_old_one_serving(
    corpus: Lake,
    workspace: Workspace,
    version: Version,
    two: tuple[str, str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    following = FollowingPipeline(corpus, workspace, version)
    publish_build(workspace, version.spec.index_key, two[1], by="test")
    kept = shutil.copytree(workspace.indexes / two[1], workspace.root / "kept")
    shutil.rmtree(workspace.indexes / two[1])
    with caplog.at_level(logging.WARNING):
        assert following.current().build_id == two[0]
        assert following.current().build_id == two[0]
    (said,) = [record.getMessage() for record in caplog.records]
    assert f"{two[1]} is missing" in said
    assert f"build {two[0]} goes on serving" in said
    with pytest.raises(IndexFault, match=r"ragdiag index build lexical.*index rollback lexical"):
        open_pipeline(corpus, workspace, version)
    shutil.copytree(kept, workspace.indexes / two[1])
    monkeypatch.setattr(follow, "RETRY_S", 0.0)
    following._retry_at = time.monotonic()
    assert following.current().build_id == two[1]
