"""Builds whose vectors Milvus holds: the same answers, nothing half-published, nothing left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from milvus_lite.server_manager import server_manager_instance

from ragdiag.errors import IndexFault, IndexUnreachable
from ragdiag.records import Passage, PassageMetadata, Retrieval
from ragdiag.retrieval.builds import build_index, load_index
from ragdiag.retrieval.filters import STRANGER, PassageFilter
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.milvus.connection import Connection, connect
from ragdiag.retrieval.milvus.leftovers import building, drop_leftovers
from ragdiag.settings import PROJECT, Workspace
from ragdiag.version import Spec
from tests.milvus_server import MilvusServer

MakeSpec = Callable[..., Spec]
BOTH: dict[str, Any] = {"embedder": {"title": False}, "lexical": {"title": False}}
QUESTION = "how does the virus spread"
FILTERS = [STRANGER, PassageFilter(tenant="acme"), PassageFilter(topics=frozenset({"other"}))]
EMBEDDED = {"engine": "milvus", "uri": "vectors.db"}


@pytest.fixture(autouse=True)
def _embedded_engines_end() -> Iterator[None]:
    yield
    server_manager_instance.release_all()


@pytest.fixture
def tagged(passages: list[Passage]) -> list[Passage]:
    """Two topics, and one passage that is a tenant's."""
    known = [PassageMetadata(topic="health" if at < 4 else "other") for at in range(6)]
    known[1] = replace(known[1], tenant="acme")
    return [replace(one, metadata=two) for one, two in zip(passages, known, strict=True)]


def collections(connection: Connection) -> list[str]:
    return sorted(connection.ask("list_collections"))


def lists(found: Retrieval) -> tuple[Any, Any, Any]:
    return found.lexical, found.dense, found.fused


@pytest.mark.parametrize("kind", ["auto", "hnsw"])
@pytest.mark.parametrize("sharding", [{}, {"shard_by": "topic"}], ids=["whole", "sharded"])
@pytest.mark.parametrize("mode", ["union", "prefilter"])
def test_a_question_finds_what_it_finds_with_faiss(
    kind: str,
    sharding: dict[str, str],
    mode: str,
    workspace: Workspace,
    tagged: list[Passage],
    make_spec: MakeSpec,
    toy_encoder: Any,
) -> None:
    retrievers = []
    for engine in ({}, EMBEDDED):
        spec = make_spec(
            **BOTH,
            ann={"kind": kind, **sharding, **engine},
            candidates={"mode": mode, "depth": 3},
            fusion={"kind": "convex"},
        )
        build = build_index(tagged, spec, workspace)
        index = load_index(workspace, build.build_id, spec)
        retrievers.append(HybridRetriever(index, spec, toy_encoder))
    for question in (QUESTION, "bread and salt", "of the"):
        for only in (
            STRANGER,
            PassageFilter(tenant="acme"),
            PassageFilter(topics=frozenset({"other"})),
        ):
            faiss, milvus = (one.retrieve(question, only=only) for one in retrievers)
            assert lists(milvus) == lists(faiss)


def test_a_build_names_its_collection_and_is_used_again(
    workspace: Workspace, passages: list[Passage], make_spec: MakeSpec, toy_encoder: Any
) -> None:
    spec = make_spec(**BOTH, ann=EMBEDDED)
    build = build_index(passages, spec, workspace)
    facts = build.manifest["dense"]["milvus"]
    assert build.build_id in facts["collection"]
    assert facts["server"].startswith("milvus_lite")
    assert len(facts["digest"]) == 64
    assert (build.dimension, build.ann_kind) == (64, "flat")
    assert build_index(passages[::-1], spec, workspace) == build
    assert collections(connect(spec.ann, workspace)) == [facts["collection"]]


def test_what_milvus_has_lost_the_remedy_brings_back(
    workspace: Workspace, passages: list[Passage], make_spec: MakeSpec, toy_encoder: Any
) -> None:
    spec = make_spec(**BOTH, ann=EMBEDDED)
    build = build_index(passages, spec, workspace)
    connection = connect(spec.ann, workspace)
    connection.ask("drop_collection", build.manifest["dense"]["milvus"]["collection"])
    with pytest.raises(IndexFault, match="ragdiag index build"):
        load_index(workspace, build.build_id, spec)
    again = build_index(passages, spec, workspace)
    assert again.build_id == build.build_id
    assert load_index(workspace, build.build_id, spec).ann is not None
    assert collections(connection) == [again.manifest["dense"]["milvus"]["collection"]]


def test_collections_of_builds_that_are_gone_are_dropped_and_no_others(
    workspace: Workspace,
    tmp_path: Path,
    passages: list[Passage],
    make_spec: MakeSpec,
    toy_encoder: Any,
) -> None:
    spec = make_spec(embedder={}, ann={**EMBEDDED, "uri": str(tmp_path / "shared.db")})
    gone, kept = (build_index(some, spec, workspace) for some in (passages[:3], passages))
    copy = Workspace(tmp_path / "copy")
    shutil.copytree(workspace.root, copy.root)
    elsewhere = build_index(passages[:2], spec, copy)
    connection = connect(spec.ann, workspace)
    names = [b.manifest["dense"]["milvus"]["collection"] for b in (gone, kept, elsewhere)]
    assert collections(connection) == sorted(names)
    for place in (workspace, copy):
        shutil.rmtree(place.indexes / gone.build_id)
    assert drop_leftovers(connection, copy) == []
    with building(workspace):
        assert drop_leftovers(connection, workspace) == []
    assert drop_leftovers(connection, workspace) == names[:1]
    assert collections(connection) == sorted(names[1:])


KILLED = """
import sys, time
from pathlib import Path
from ragdiag.records import Passage
from ragdiag.retrieval import builds
from ragdiag.retrieval.milvus import filling
from ragdiag.settings import Workspace
from ragdiag.version import Spec
from tests.retrieval.conftest import ToyEncoder

builds.model_identity = lambda spec: "toy"
builds.load_embedder = lambda spec: ToyEncoder()
def stay(*arguments):
    print("filled", flush=True)
    time.sleep(600)
filling._finish = stay
passages = [Passage(f"p{i}", f"d{i}", f"text number {i}") for i in range(6)]
spec = Spec.model_validate_json(sys.argv[2])
builds.build_index(passages, spec, Workspace(Path(sys.argv[1])))
"""


@pytest.mark.slow
def test_a_killed_build_publishes_nothing_and_the_next_one_clears_up(
    workspace: Workspace, milvus_server: MilvusServer, make_spec: MakeSpec, toy_encoder: Any
) -> None:
    spec = make_spec(embedder={}, ann={"engine": "milvus", "uri": milvus_server.uri})
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(workspace.root), spec.model_dump_json()],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.kill()
    assert said == b"filled\n"
    connection = connect(spec.ann, workspace)
    (half,) = collections(connection)
    assert not list(workspace.indexes.glob("[!.]*"))
    passages = [Passage(f"p{i}", f"d{i}", f"text number {i}") for i in range(6)]
    build = build_index(passages, spec, workspace)
    assert half.startswith(f"{half.rsplit('_', 2)[0]}_{build.build_id}_")
    assert collections(connection) == [build.manifest["dense"]["milvus"]["collection"]] != [half]


def degrading(make_spec: MakeSpec, uri: str, **more: Any) -> Spec:
    ann = {"engine": "milvus", "uri": uri, "timeout_s": 2.0}
    return make_spec(**BOTH, ann=ann, degradation={"failures": 2, "retry_s": 0.2, **more})


@pytest.mark.slow
def test_words_answer_alone_while_milvus_is_down_and_it_comes_back(
    workspace: Workspace,
    milvus_server: MilvusServer,
    passages: list[Passage],
    make_spec: MakeSpec,
    toy_encoder: Any,
) -> None:
    spec = degrading(make_spec, milvus_server.uri)
    build = build_index(passages, spec, workspace)
    retriever = HybridRetriever(load_index(workspace, build.build_id, spec), spec, toy_encoder)
    whole = retriever.retrieve(QUESTION)
    assert whole.degraded_reason is None
    milvus_server.kill()
    for expected in ["dense: IndexUnreachable"] * 2 + ["dense: left alone after failures in a row"]:
        found = retriever.retrieve(QUESTION)
        assert found.degraded_reason == expected
        assert lists(found) == (whole.lexical, None, whole.lexical)
    # a service that starts meanwhile answers as well, and one that may not do without says why
    late = HybridRetriever(load_index(workspace, build.build_id, spec), spec, toy_encoder)
    assert late.retrieve(QUESTION).degraded_reason == "dense: IndexUnreachable"
    strict = spec.model_copy(update={"degradation": None})
    with pytest.raises(IndexUnreachable, match=rf"{milvus_server.uri} does not answer.*uri"):
        load_index(workspace, build.build_id, strict)
    with pytest.raises(IndexUnreachable):
        build_index(passages, strict, workspace)
    assert (workspace.indexes / build.build_id).is_dir()
    milvus_server.start()
    time.sleep(1.5)
    for one in (retriever, late):
        again = one.retrieve(QUESTION)
        assert (again.degraded_reason, lists(again)) == (None, lists(whole))


@pytest.mark.slow
def test_a_milvus_that_hangs_is_left_out_within_the_deadline(
    workspace: Workspace,
    milvus_server: MilvusServer,
    passages: list[Passage],
    make_spec: MakeSpec,
    toy_encoder: Any,
) -> None:
    spec = degrading(make_spec, milvus_server.uri, dense_ms=150)
    build = build_index(passages, spec, workspace)
    retriever = HybridRetriever(load_index(workspace, build.build_id, spec), spec, toy_encoder)
    assert retriever.retrieve(QUESTION).dense is not None
    milvus_server.stop()
    started = time.monotonic()
    found = retriever.retrieve(QUESTION)
    assert time.monotonic() - started < 1
    assert found.degraded_reason == "dense: no answer within its deadline"
    patient = spec.model_copy(update={"degradation": None})
    with pytest.raises(IndexUnreachable, match="deadline_exceeded"):
        load_index(workspace, build.build_id, patient)
    assert time.monotonic() - started < 8
    milvus_server.signal(signal.SIGCONT)


@pytest.mark.slow
def test_questions_that_wait_for_a_milvus_that_hangs_do_not_wait_in_turn(
    workspace: Workspace,
    milvus_server: MilvusServer,
    passages: list[Passage],
    make_spec: MakeSpec,
    toy_encoder: Any,
) -> None:
    ann = {"engine": "milvus", "uri": milvus_server.uri, "timeout_s": 1.0}
    spec = make_spec(embedder={}, ann=ann)
    build = build_index(passages, spec, workspace)
    index = load_index(workspace, build.build_id, spec).ann
    assert index is not None
    milvus_server.stop()
    vector = toy_encoder.encode([QUESTION])[0]

    def seconds(_: int) -> float:
        started = time.monotonic()
        with pytest.raises(IndexUnreachable):
            index.search(vector, 3)
        return time.monotonic() - started

    for _ in range(2):  # the second time the collection is to be checked again, by one of them
        with ThreadPoolExecutor(6) as pool:
            assert max(pool.map(seconds, range(6))) < 4
    milvus_server.signal(signal.SIGCONT)
