"""The pointer moves whole, keeps its history, and never lets a missing build serve."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from ragdiag.deploy.publish import begin_history, publish_build, roll_back
from ragdiag.errors import IndexFault, UnknownName
from ragdiag.records import IndexBuild
from ragdiag.retrieval.serving import (
    pointer_path,
    read_publications,
    require_serving,
    serving_build_id,
)
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.version import Version

Build = Callable[..., IndexBuild]


@pytest.fixture
def key(version: Version) -> str:
    return version.spec.index_key


def test_a_workspace_without_publications_serves_its_newest_build(
    corpus: Lake, workspace: Workspace, build: Build, key: str
) -> None:
    assert serving_build_id(corpus, workspace, key) is None
    build()
    newest = build("rust")
    assert serving_build_id(corpus, workspace, key) == newest.build_id
    assert not pointer_path(workspace, key).exists()


def test_what_served_before_is_the_first_of_the_history(
    corpus: Lake, workspace: Workspace, build: Build, key: str
) -> None:
    old = build()
    begin_history(corpus, workspace, key)
    new = build("rust")
    assert serving_build_id(corpus, workspace, key) == old.build_id
    begin_history(corpus, workspace, key)
    publish_build(workspace, key, new.build_id, by="test", reason="why", checks={"manifest": "ok"})
    first, second = read_publications(workspace, key) or ()
    assert (first.build_id, first.action, first.published_at) == (
        old.build_id,
        "found",
        old.built_at,
    )
    assert (second.by, second.reason, second.checks) == ("test", "why", {"manifest": "ok"})
    assert serving_build_id(corpus, workspace, key) == new.build_id


def test_a_first_build_serves_only_when_it_is_published(
    corpus: Lake, workspace: Workspace, build: Build, version: Version, key: str
) -> None:
    with pytest.raises(UnknownName, match="ragdiag index build lexical"):
        require_serving(corpus, workspace, version)
    begin_history(corpus, workspace, key)
    first = build()
    with pytest.raises(UnknownName, match="ragdiag index publish lexical"):
        require_serving(corpus, workspace, version)
    assert publish_build(workspace, key, first.build_id, by="test")
    assert require_serving(corpus, workspace, version) == first.build_id
    assert not publish_build(workspace, key, first.build_id, by="test")
    assert len(read_publications(workspace, key) or ()) == 1


def test_rollbacks_go_further_back_and_end_with_a_clear_word(
    workspace: Workspace, build: Build, version: Version, key: str
) -> None:
    ids = [build().build_id, build("rust").build_id, build("salt").build_id]
    for build_id in ids:
        publish_build(workspace, key, build_id, by="test")
    back, left = roll_back(workspace, version, by="test")
    assert (back.build_id, left, back.action) == (ids[1], ids[2], "rollback")
    assert roll_back(workspace, version, by="test")[0].build_id == ids[0]
    with pytest.raises(UnknownName, match=f"{ids[0]} is the first that was published"):
        roll_back(workspace, version, by="test")
    publish_build(workspace, key, ids[2], by="test")
    assert roll_back(workspace, version, by="test")[0].build_id == ids[0]
    assert len(read_publications(workspace, key) or ()) == 7


def test_nothing_goes_to_a_build_that_is_missing_or_damaged(
    workspace: Workspace, build: Build, version: Version, key: str
) -> None:
    old, new = build(), build("rust")
    for one in (old, new):
        publish_build(workspace, key, one.build_id, by="test")
    victim = workspace.indexes / old.build_id / "ids.parquet"
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    with pytest.raises(IndexFault, match=r"ids\.parquet has changed.*index list lexical"):
        roll_back(workspace, version, by="test")
    shutil.rmtree(workspace.indexes / old.build_id)
    with pytest.raises(IndexFault, match=f"{old.build_id} is missing"):
        publish_build(workspace, key, old.build_id, by="test")
    assert [p.build_id for p in read_publications(workspace, key) or ()] == [
        old.build_id,
        new.build_id,
    ]


def test_nothing_goes_back_to_a_build_whose_model_has_changed(
    workspace: Workspace,
    build: Build,
    hybrid: Callable[..., Version],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    version = hybrid(model=model)
    old = build(of=version).build_id
    publish_build(workspace, version.spec.index_key, old, by="test")
    pooling = model / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace('"mean"', '"cls"'))
    new = build(of=version).build_id
    publish_build(workspace, version.spec.index_key, new, by="test")
    with pytest.raises(IndexFault, match=rf"changed since build {old}.*index build hybrid"):
        roll_back(workspace, version, by="test")
    assert len(read_publications(workspace, version.spec.index_key) or ()) == 2


@pytest.mark.parametrize("held", ["{", "[]", '{"publications": [{"build_id": 1}]}'])
def test_a_pointer_that_cannot_be_read_is_named(
    held: str, corpus: Lake, workspace: Workspace, build: Build, key: str
) -> None:
    publish_build(workspace, key, build().build_id, by="test")
    path = pointer_path(workspace, key)
    path.write_text(held)
    with pytest.raises(IndexFault, match=rf"{key}\.json.*move it away"):
        serving_build_id(corpus, workspace, key)


def test_publishers_at_the_same_time_lose_nothing_and_readers_see_whole_files(
    workspace: Workspace, build: Build, key: str
) -> None:
    ids = [build().build_id, build("rust").build_id]
    publish_build(workspace, key, ids[0], by="first")
    done = threading.Event()

    def read() -> int:
        lengths = []
        while not done.is_set():
            rows = json.loads(pointer_path(workspace, key).read_text())["publications"]
            lengths.append(len(rows))
        assert lengths == sorted(lengths)
        return len(lengths)

    def publish(worker: int) -> int:
        return sum(publish_build(workspace, key, ids[n % 2], by=f"w{worker}") for n in range(10))

    with ThreadPoolExecutor(5) as pool:
        reader = pool.submit(read)
        published = sum(pool.map(publish, range(4)))
        done.set()
        assert reader.result() > 0
    history = read_publications(workspace, key) or ()
    assert len(history) == published + 1
    assert all(a.build_id != b.build_id for a, b in pairwise(history))
