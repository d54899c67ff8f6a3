"""A build serves once it is checked; whatever goes wrong before, the old one goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from ragdiag.deploy.health import check_build
from ragdiag.deploy.notices import REBUILD_FAILED
from ragdiag.errors import IndexFault, InputError, StoreFull, UnknownName
from ragdiag.pipeline import open_pipeline
from ragdiag.records import IndexBuild, Passage
from ragdiag.retrieval.builds import build_index
from ragdiag.retrieval.embed import Embedder, WordPieces
from ragdiag.retrieval.serving import read_publications, serving_build_id
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.alerts import open_alerts
from ragdiag.store.corpus import add_documents, load_passages
from ragdiag.store.index_checks import load_checks
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import PACKAGED_MODEL, Version, parse_spec
from ragdiag.workflows.indexing import build as workflow
from ragdiag.workflows.indexing.build import (
    build_version_index,
    check_index,
    describe_builds,
    publish_index,
    release_index,
    roll_back_index,
)
from tests.conftest import TOY_QUESTIONS
from tests.stocked import LEXICAL, Add, Build


@pytest.fixture
def first(corpus: Lake, workspace: Workspace, version: Version) -> str:
    """A build that serves."""
    done = release_index(corpus, workspace, version, by="test")
    assert (done.published, done.serves, done.check.status) == (True, True, "good")
    return done.build.build_id


def spoil(lake: Lake) -> None:
    """Every passage says nothing that is asked."""
    add_documents(
        lake,
        [
            Passage(one.passage_id, one.document_id, f"{n} nothing")
            for n, one in enumerate(load_passages(lake))
        ],
    )


def test_a_good_build_replaces_what_serves(
    corpus: Lake, workspace: Workspace, version: Version, first: str, add: Add
) -> None:
    add("rust")
    second = build_version_index(corpus, workspace, version)
    assert open_pipeline(corpus, workspace, version).build_id == second.build_id != first
    assert [one.status for one in load_checks(corpus, second.build_id)] == ["good"]
    again = release_index(corpus, workspace, version, by="test")
    assert (again.published, again.serves) == (False, True)


def test_a_build_that_fails_its_check_leaves_the_old_one_serving(
    corpus: Lake, workspace: Workspace, version: Version, first: str
) -> None:
    spoil(corpus)
    done = release_index(corpus, workspace, version, by="test")
    assert (done.published, done.serving, done.check.status) == (False, first, "bad")
    assert open_pipeline(corpus, workspace, version).build_id == first
    (alert,) = open_alerts(corpus)
    assert alert.kind == REBUILD_FAILED
    assert f"build {first} goes on serving: 0 of 6 judged questions" in alert.message
    with pytest.raises(IndexFault, match="was not published: 0 of 6"):
        build_version_index(corpus, workspace, version)
    publish_index(corpus, workspace, version, by="test", force=True)
    assert open_pipeline(corpus, workspace, version).build_id == done.build.build_id
    assert [one.kind for one in open_alerts(corpus)] == ["index_questions"]
    roll_back_index(corpus, workspace, version, by="test")
    assert [one.kind for one in open_alerts(corpus)] == ["index_freshness"]


def test_what_comes_in_while_it_is_built_does_not_keep_a_build_back(
    corpus: Lake,
    workspace: Workspace,
    version: Version,
    first: str,
    add: Add,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add("rust")
    monkeypatch.setattr(
        workflow, "check_build", lambda *a, **k: (add("salt"), check_build(*a, **k))[1]
    )
    done = release_index(corpus, workspace, version, by="test")
    assert (done.published, done.serves, done.check.status) == (True, True, "bad")
    assert done.build.build_id != first
    assert [one.kind for one in open_alerts(corpus)] == ["index_freshness"]


def test_a_slow_build_does_not_take_the_place_of_a_newer_one(
    corpus: Lake,
    workspace: Workspace,
    version: Version,
    first: str,
    add: Add,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add("rust")
    newer: list[str] = []

    def slow(passages: Sequence[Passage], *rest: Any) -> IndexBuild:
        if not newer:
            newer.append("")
            add("salt")
            newer[0] = release_index(corpus, workspace, version, by="faster").build.build_id
        return build_index(passages, *rest)

    monkeypatch.setattr(workflow, "build_index", slow)
    done = release_index(corpus, workspace, version, by="slower")
    assert (done.build.build_id, done.published, done.serves) == (newer[0], False, True)
    published = [one.build_id for one in read_publications(workspace, version.spec.index_key) or ()]
    assert published == [first, newer[0]]


def test_without_publishing_nothing_changes_for_who_asks(
    corpus: Lake, workspace: Workspace, version: Version, first: str, add: Add
) -> None:
    add("rust")
    done = release_index(corpus, workspace, version, by="test", publish=False)
    assert (done.published, done.serving) == (False, first)
    assert publish_index(corpus, workspace, version, by="test").serving == done.build.build_id


def test_a_first_build_that_is_not_published_serves_nobody(
    corpus: Lake, workspace: Workspace, version: Version
) -> None:
    done = release_index(corpus, workspace, version, by="test", publish=False)
    assert done.serving is None
    with pytest.raises(UnknownName, match="index publish lexical"):
        open_pipeline(corpus, workspace, version)


def test_a_workspace_from_before_publications_can_be_rolled_back_too(
    corpus: Lake, workspace: Workspace, version: Version, build: Build, add: Add
) -> None:
    old = build().build_id
    assert serving_build_id(corpus, workspace, version.spec.index_key) == old
    add("rust")
    new = release_index(corpus, workspace, version, by="test").build.build_id
    back, left, check = roll_back_index(corpus, workspace, version, by="test")
    assert (back.build_id, left) == (old, new)
    assert check.status == "bad"  # it lacks the passage about rust
    assert [one.kind for one in open_alerts(corpus)] == ["index_freshness"]
    publish_index(corpus, workspace, version, new, by="test")
    assert open_alerts(corpus) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from ragdiag.settings import Workspace
from ragdiag.store.lake import open_lake
from ragdiag.store.results import find_version
from ragdiag.workflows.indexing import build as index
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(index, sys.argv[2], die)
workspace = Workspace(Path(sys.argv[1]))
lake = open_lake(workspace)
index.release_index(lake, workspace, find_version(lake, "lexical"), by="killed")
"""


@pytest.mark.parametrize("before", ["save_build", "check_build", "publish_build", "note_findings"])
def test_a_build_that_is_killed_leaves_one_that_serves_and_can_be_run_again(
    corpus: Lake, workspace: Workspace, version: Version, first: str, add: Add, before: str
) -> None:
    add("rust")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(workspace.root), before],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    served = open_pipeline(corpus, workspace, version).build_id
    assert (served == first) == (before != "note_findings")
    again = release_index(corpus, workspace, version, by="test")
    assert again.serves
    assert again.build.build_id != first


def test_an_error_while_building_is_an_alert_and_goes_on(
    corpus: Lake,
    workspace: Workspace,
    version: Version,
    first: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(passages: Sequence[Passage], *more: object) -> None:
        raise StoreFull("no space left for indexes", remedy="free some space")

    with monkeypatch.context() as patched:
        patched.setattr(workflow, "build_index", full)
        with pytest.raises(StoreFull):
            release_index(corpus, workspace, version, by="test")
    (alert,) = open_alerts(corpus)
    assert alert.message.endswith("no space left for indexes; free some space")
    assert open_pipeline(corpus, workspace, version).build_id == first
    release_index(corpus, workspace, version, by="test")
    assert open_alerts(corpus) == []


def test_a_check_of_what_serves_raises_and_resolves_of_another_build_it_does_not(
    corpus: Lake, workspace: Workspace, version: Version, first: str, add: Add
) -> None:
    add("rust")
    assert check_index(corpus, workspace, version, by="test").status == "bad"
    assert [one.kind for one in open_alerts(corpus)] == ["index_freshness"]
    second = release_index(corpus, workspace, version, by="test")
    assert open_alerts(corpus) == []
    assert check_index(corpus, workspace, version, first, by="test").status == "bad"
    assert open_alerts(corpus) == []
    statuses = [
        (row["serves"], row["status"]) for row in describe_builds(corpus, workspace, version)
    ]
    assert statuses == [(True, "good"), (False, "bad")]
    assert second.serves


def test_force_does_not_publish_what_cannot_answer(
    corpus: Lake, workspace: Workspace, version: Version, first: str, add: Add
) -> None:
    add("rust")
    made = release_index(corpus, workspace, version, by="test", publish=False).build.build_id
    (workspace.indexes / made / "lexical" / "vocab.index.json").unlink()
    done = publish_index(corpus, workspace, version, by="test", force=True)
    assert (done.published, done.serving) == (False, first)


def test_a_build_of_another_version_is_refused(
    corpus: Lake, workspace: Workspace, version: Version, build: Build, first: str
) -> None:
    other = Version("other", parse_spec(LEXICAL.replace("]", "]\nk1 = 1.2", 1), source="toy"))
    foreign = build(of=other).build_id
    for act in (publish_index, check_index):
        with pytest.raises(InputError, match="not one of version lexical"):
            act(corpus, workspace, version, foreign, by="test")
        with pytest.raises(UnknownName, match="'gone'"):
            act(corpus, workspace, version, "gone", by="test")
    third = Version("third", parse_spec(LEXICAL.replace("]", "]\nk1 = 1.3", 1), source="toy"))
    with pytest.raises(UnknownName, match="third has no index build"):
        publish_index(corpus, workspace, third, by="test")


def test_word_pieces_are_encoded_when_the_index_is_built_and_rerank(
    corpus: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = f"{LEXICAL}\n[reranker]\nkind = 'late_interaction'\nmodel = '{PACKAGED_MODEL}'"
    version = Version("late", parse_spec(late, source="late"))
    save_version(corpus, version)
    told: list[float] = []
    build_version_index(corpus, workspace, version, lambda share, _: told.append(share))
    assert told == sorted(told)
    asked: list[str] = []
    real = Embedder.encode_pieces

    def noted(self: Embedder, texts: Sequence[str]) -> list[WordPieces]:
        asked.extend(texts)
        return real(self, texts)

    monkeypatch.setattr(Embedder, "encode_pieces", noted)
    question, gold, _ = TOY_QUESTIONS["q-moon"]
    found = open_pipeline(corpus, workspace, version).ask(question)
    assert asked == [question], "the passages were encoded with the index"
    assert found.reranked is not None
    assert found.reranked[0].passage_id == gold
