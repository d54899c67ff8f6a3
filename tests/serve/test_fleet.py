"""Which versions are open, and what becomes of their caches."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable

import pytest

from ragdiag.deploy.follow import FollowingPipeline
from ragdiag.deploy.publish import begin_history, publish_build
from ragdiag.errors import IndexFault
from ragdiag.privacy.pseudonyms import user_key
from ragdiag.records import Deployment, IndexBuild
from ragdiag.serve import fleet as fleets
from ragdiag.serve.answering import Asked, answer
from ragdiag.serve.fleet import Fleet, Served
from ragdiag.settings import Workspace
from ragdiag.store.corpus import remove_documents
from ragdiag.store.deployments import append_deployment
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.store.upkeep.forgotten import add_forgotten, user_tombstone
from ragdiag.version import Version

from .conftest import PROXIES, QUESTION, ToyModel, toy_version

Build = Callable[..., IndexBuild]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def version(corpus: Lake, model: ToyModel) -> Version:
    made = toy_version("cached", model, "[cache]")
    save_version(corpus, made)
    return made


def opened(fleet: Fleet) -> Served:
    fleet.look()
    return fleet.choose("ada")[0]


def test_what_is_published_has_a_cache_of_its_own(
    corpus: Lake, workspace: Workspace, build: Build, version: Version
) -> None:
    build(of=version)
    begin_history(corpus, workspace, version.spec.index_key)
    fleet = Fleet(corpus, workspace, version)
    assert not fleet.ready
    old = opened(fleet)
    assert not answer(old, Asked(QUESTION), "production").cache_hit
    assert answer(old, Asked(QUESTION), "production").cache_hit
    assert opened(fleet) is old
    publish_build(workspace, version.spec.index_key, build("rust").build_id, by="test")
    new = opened(fleet)
    assert not answer(new, Asked(QUESTION), "production").cache_hit
    assert answer(old, Asked(QUESTION), "production").cache_hit  # who is under way finishes


def test_who_was_forgotten_on_another_machine_of_the_lake_leaves_the_cache_with_the_next_look(
    corpus: Lake, workspace: Workspace, build: Build, version: Version
) -> None:
    build(of=version)
    fleet = Fleet(corpus, workspace, version)
    served = opened(fleet)
    answer(served, Asked(QUESTION, user="ann"), "production")
    gone = user_tombstone(workspace, user_key(workspace, "ann"))
    corpus.write(lambda cursor: add_forgotten(cursor, [gone]))
    assert opened(fleet) is served
    assert served.cache is not None
    assert len(served.cache) == 0
    answer(served, Asked(QUESTION, user="ann"), "production")
    assert not answer(served, Asked(QUESTION, user="bob"), "production").cache_hit
    assert answer(served, Asked(QUESTION, user="ann"), "production").cache_hit  # of bob's answer


def test_what_has_left_the_corpus_is_not_served_from_index_or_cache(
    corpus: Lake,
    workspace: Workspace,
    build: Build,
    version: Version,
) -> None:
    build(of=version)
    fleet = Fleet(corpus, workspace, version)
    assert answer(opened(fleet), Asked(QUESTION), "production").citations == ("cats",)
    remove_documents(corpus, ["cats"])
    without = opened(fleet)
    again = answer(without, Asked(QUESTION), "production")
    assert (again.cache_hit, "cats" in again.citations) == (False, False)
    remove_documents(corpus, ["moon"])
    assert opened(fleet) is without  # the next opening waits
    fleet._kept.reopen_at = 0.0
    assert opened(fleet) is not without


def test_a_canary_that_cannot_be_opened_leaves_all_to_production(
    corpus: Lake,
    workspace: Workspace,
    build: Build,
    version: Version,
    model: ToyModel,
    caplog: pytest.LogCaptureFixture,
) -> None:
    build(of=version)
    canary = toy_version("canary", model, lexical="k1 = 1.2")
    save_version(corpus, canary)
    state = Deployment(version.version_id, canary=canary.version_id, share=0.999)
    append_deployment(corpus, "canary", lambda _: state, actor="test", evidence={})
    fleet = Fleet(corpus, workspace, None)
    with caplog.at_level(logging.WARNING):
        fleet.look()
        fleet.look()
    (told,) = [one for one in caplog.records if one.name == fleets.__name__]
    assert "has no index build" in told.getMessage()
    assert not told.exc_info
    served, traffic = fleet.choose("ada")
    assert (served.version.name, traffic) == ("cached", "production")
    build(of=canary)
    fleet._kept.retry_at.clear()
    fleet.look()
    assert fleet.choose("ada")[1] == "canary"


def test_a_defect_that_closes_a_canary_is_logged_with_its_traceback(
    corpus: Lake,
    workspace: Workspace,
    build: Build,
    version: Version,
    model: ToyModel,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build(of=version)
    canary = toy_version("canary", model, lexical="k1 = 1.2")
    save_version(corpus, canary)
    state = Deployment(version.version_id, canary=canary.version_id, share=0.999)
    append_deployment(corpus, "canary", lambda _: state, actor="test", evidence={})
    opened_as = fleets.FollowingPipeline

    def open_or_fail(lake: Lake, workspace: Workspace, one: Version) -> FollowingPipeline:
        if one.name == "canary":
            raise KeyError("k1")
        return opened_as(lake, workspace, one)

    monkeypatch.setattr(fleets, "FollowingPipeline", open_or_fail)
    Fleet(corpus, workspace, None).look()
    (told,) = [one for one in caplog.records if one.name == fleets.__name__]
    assert told.exc_info
    assert told.exc_info[0] is KeyError


def test_without_a_build_nothing_is_ready_and_a_lost_one_goes_on_serving(
    corpus: Lake, workspace: Workspace, build: Build, version: Version
) -> None:
    fleet = Fleet(corpus, workspace, version)
    with pytest.raises(Exception, match="has no index build"):
        fleet.look()
    assert not fleet.ready
    lost = build(of=version).build_id
    served = opened(fleet)
    shutil.rmtree(workspace.indexes / lost)
    assert opened(fleet) is served
    with pytest.raises(IndexFault, match="is missing"):
        Fleet(corpus, workspace, version).look()
