"""Old builds leave the disk, and nothing that anybody needs."""

from __future__ import annotations

import gc
import os
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from milvus_lite.server_manager import server_manager_instance

from ragdiag.deploy.prune import prune_builds
from ragdiag.deploy.publish import publish_build
from ragdiag.errors import IndexFault
from ragdiag.pipeline import open_pipeline
from ragdiag.retrieval.builds import build_index, load_index
from ragdiag.retrieval.holding import Hold
from ragdiag.retrieval.milvus.connection import connect
from ragdiag.retrieval.serving import pointer_path
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_passages
from ragdiag.store.lake import Lake
from ragdiag.store.results import latest_build, save_build, save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.indexing.build import describe_builds
from tests.stocked import LEXICAL, Add, Build


@pytest.fixture
def released(workspace: Workspace, version: Version, build: Build) -> list[str]:
    """Four builds, published one after another."""
    ids = [build(*names).build_id for names in ((), ("rust",), ("salt",), ("sand",))]
    for build_id in ids:
        publish_build(workspace, version.spec.index_key, build_id, by="test")
    return ids


def now() -> datetime:
    return datetime.now(UTC)


def folders(workspace: Workspace) -> set[str]:
    return {path.name for path in workspace.indexes.iterdir() if path.name != "serving"}


def test_what_serves_and_what_a_rollback_leads_to_stay(
    corpus: Lake, workspace: Workspace, version: Version, released: list[str]
) -> None:
    first, second, before, serving = released
    told = prune_builds(corpus, workspace, now(), dry_run=True)
    assert folders(workspace) == set(released)
    size = sum(p.stat().st_size for p in (workspace.indexes / first).rglob("*") if p.is_file())
    done = prune_builds(corpus, workspace, now())
    assert done == told
    assert done.builds.keys() == {first, second}
    assert done.builds[first] == size
    assert done.bytes_freed == sum(done.builds.values()) > size
    assert done.kept == {before: "a rollback leads to it", serving: "it serves"}
    assert folders(workspace) == {before, serving}
    rows = describe_builds(corpus, workspace, version)
    assert [bool(row["pruned_at"]) for row in rows] == [False, False, True, True]
    assert open_pipeline(corpus, workspace, version).build_id == serving
    with pytest.raises(IndexFault, match="is missing"):
        publish_build(workspace, version.spec.index_key, first, by="test")


def test_the_young_stay_and_a_candidate_that_serves(
    corpus: Lake, workspace: Workspace, released: list[str], build: Build
) -> None:
    other = Version(
        "other", parse_spec("[lexical]\nk1 = 0.9\n[generator]\nkind = 'extractive'", source="toy")
    )
    save_version(corpus, other)
    served = build(of=other).build_id
    publish_build(workspace, other.spec.index_key, served, by="test")
    week = prune_builds(corpus, workspace, now() - timedelta(days=7))
    assert (week.builds, week.kept[released[0]]) == ({}, "it is too young")
    assert prune_builds(corpus, workspace, now()).kept[served] == "it serves"


def test_where_nothing_was_ever_published_the_newest_stays(
    corpus: Lake, workspace: Workspace, version: Version, build: Build
) -> None:
    old, new = build().build_id, build("rust").build_id
    assert prune_builds(corpus, workspace, now()).builds.keys() == {old}
    newest = latest_build(corpus, version.spec.index_key)
    assert newest is not None
    assert newest.build_id == new


def test_who_has_a_build_open_keeps_it(
    corpus: Lake, workspace: Workspace, version: Version, released: list[str]
) -> None:
    index = load_index(workspace, released[0], version.spec)
    assert prune_builds(corpus, workspace, now()).kept[released[0]] == "a process has it open"
    assert index.build_id in folders(workspace)
    del index
    gc.collect()
    assert prune_builds(corpus, workspace, now()).builds.keys() == {released[0]}


def test_a_pruned_build_can_be_made_again(
    corpus: Lake, workspace: Workspace, version: Version, build: Build
) -> None:
    old, passages = build(), load_passages(corpus)
    build("rust")
    prune_builds(corpus, workspace, now())
    again = build_index(passages, version.spec, workspace)
    save_build(corpus, again)
    assert again.build_id == old.build_id
    assert not any(row["pruned_at"] for row in describe_builds(corpus, workspace, version))


def leftover(workspace: Workspace, build_id: str, age_s: float) -> Path:
    folder = workspace.indexes / f".{build_id}.{uuid.uuid4().hex}"
    folder.mkdir(parents=True)
    (folder / "ids.parquet").write_bytes(b"x" * 100)
    os.utime(folder, (time.time() - age_s,) * 2)
    return folder


def test_what_killed_builds_left_goes_but_not_what_is_being_built(
    corpus: Lake, workspace: Workspace, released: list[str]
) -> None:
    dead, building, begun = (leftover(workspace, released[0], age) for age in (600, 600, 1))
    hold = Hold(building)
    done = prune_builds(corpus, workspace, now())
    assert done.leftovers == {dead.name: 100}
    assert not dead.exists()
    assert building.exists()
    assert begun.exists()
    del hold


def test_a_build_that_nobody_can_read_goes_but_of_an_unreadable_history_all_stay(
    corpus: Lake, workspace: Workspace, version: Version, released: list[str], build: Build
) -> None:
    other = Version("other", parse_spec(LEXICAL.replace("]", "]\nk1 = 1.2", 1), source="toy"))
    save_version(corpus, other)
    old, new = build(of=other).build_id, build("silt", of=other).build_id
    (workspace.indexes / released[0] / "manifest.json").write_text("{")
    pointer = pointer_path(workspace, version.spec.index_key)
    history = pointer.read_text()
    pointer.write_text("{")
    done = prune_builds(corpus, workspace, now())
    assert done.builds.keys() == {old}
    assert done.kept.keys() == {*released, new}
    assert "which says what serves; move it away" in done.kept[released[1]]
    assert done.kept[released[0]] == "what serves cannot be read, nor whose it is"
    pointer.write_text(history)
    assert released[0] in prune_builds(corpus, workspace, now()).builds


@pytest.fixture
def _embedded_engines_end() -> Iterator[None]:
    yield
    server_manager_instance.release_all()


@pytest.mark.usefixtures("_embedded_engines_end")
def test_collections_of_pruned_builds_are_dropped(
    corpus: Lake, workspace: Workspace, add: Add, make_spec: Callable[..., Any], toy_encoder: Any
) -> None:
    spec = make_spec(embedder={}, ann={"engine": "milvus", "uri": "vectors.db"})
    version = Version("milvus", spec)
    save_version(corpus, version)
    names = []
    for fresh in ("rust", "salt"):
        add(fresh)
        built = build_index(load_passages(corpus), spec, workspace)
        save_build(corpus, built)
        names.append(built.manifest["dense"]["milvus"]["collection"])
    done = prune_builds(corpus, workspace, now())
    assert (done.collections, done.faults) == (names[:1], [])
    connection = connect(spec.ann, workspace)
    assert connection.ask("list_collections") == names[1:]
