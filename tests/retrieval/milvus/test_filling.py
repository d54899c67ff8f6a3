"""A collection is finished when the build says so, and is told from what it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragdiag.errors import IndexFault, IndexUnreachable
from ragdiag.retrieval.ann.index import Vectors
from ragdiag.retrieval.milvus import filling
from ragdiag.retrieval.milvus.collection import FIELD, KEY, check_collection
from ragdiag.retrieval.milvus.connection import Connection
from ragdiag.retrieval.milvus.filling import fill_collection
from ragdiag.settings import PROJECT
from ragdiag.version import AnnSpec

N, D = 300, 8
FLAT = AnnSpec(engine="milvus", uri="vectors.db")


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    made = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("hnsw", {"M": 7, "efConstruction": 33}),
        ("hnsw_sq8", {"M": 7, "efConstruction": 33, "sq_type": "SQ8"}),
        ("ivf_flat", {"nlist": 5}),
    ],
)
def test_the_settings_of_the_spec_arrive(
    kind: str, parameters: dict[str, Any], milvus: Connection, vectors: Vectors
) -> None:
    spec = FLAT.model_copy(update={"kind": kind, "m": 7, "ef_construction": 33, "nlist": 5})
    fill_collection(milvus, f"settings_{kind}", vectors, spec)
    told = milvus.ask("describe_index", f"settings_{kind}", FIELD)
    assert told["metric_type"] == "IP"
    assert told["params"] == parameters


def test_progress_ends_at_one_half_before_the_index(milvus: Connection, vectors: Vectors) -> None:
    told: list[tuple[float, str]] = []
    fill_collection(
        milvus, "progress", vectors, FLAT, None, lambda done, what: told.append((done, what))
    )
    assert [done for done, _ in told] == [0.5, 0.5]
    assert told[0][1] == "sent 300 of 300 vectors to Milvus"


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"collection": "never"}, "the collection never is not in Milvus"),
        ({"digest": "other"}, "have changed since it was built"),
        ({"size": N - 1}, f"has vectors = {N}, not {N - 1}"),
        ({"dimension": D + 1}, f"has dimensions = {D}, not {D + 1}"),
        ({"kind": "hnsw"}, "has index_type = FLAT, not HNSW"),
    ],
)
def test_another_collection_is_named_with_what_is_other(
    change: dict[str, Any], culprit: str, milvus: Connection, vectors: Vectors
) -> None:
    facts = fill_collection(milvus, "recognised", vectors, FLAT)
    expected = {"size": N, "dimension": D, "kind": "flat", **facts, **change}
    spec = FLAT.model_copy(update={"kind": expected["kind"]})
    with pytest.raises(IndexFault, match=rf"{culprit}.*ragdiag index build"):
        check_collection(milvus, expected, spec, expected["size"], expected["dimension"])
    milvus.ask("drop_collection", "recognised")


def test_a_vector_that_was_exchanged_is_noticed(milvus: Connection, vectors: Vectors) -> None:
    facts = fill_collection(milvus, "exchanged", vectors, FLAT)
    check_collection(milvus, facts, FLAT, N, D)
    milvus.ask("upsert", "exchanged", [{KEY: 0, FIELD: vectors[1]}])
    with pytest.raises(IndexFault, match="have changed since"):
        check_collection(milvus, facts, FLAT, N, D)


def test_a_build_that_fails_half_way_leaves_no_collection(
    milvus: Connection, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise IndexFault("the server is full", remedy="empty it")

    monkeypatch.setattr(filling, "_finish", full)
    with pytest.raises(IndexFault, match="server is full"):
        fill_collection(milvus, "half", vectors, FLAT)
    assert "half" not in milvus.ask("list_collections")


# the thread that merges comes late, as it does on a busy machine
MANY_FLUSHES = """
import sys, time
import numpy as np
from milvus_lite.engine.collection import Collection
from milvus_lite.server_manager import server_manager_instance
from ragdiag.retrieval.milvus.connection import Connection
from ragdiag.retrieval.milvus.filling import fill_collection
from ragdiag.retrieval.milvus import filling
from ragdiag.version import AnnSpec

merge = Collection._bg_compact_and_index
started = time.monotonic()
def late(self):
    time.sleep(max(0.0, started + 5 - time.monotonic()))
    merge(self)
Collection._bg_compact_and_index = late
filling.SENT_BYTES = 100 * 64 * 4
vectors = np.random.default_rng(0).normal(size=(1200, 64)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
spec = AnnSpec(engine="milvus", uri="a.db", kind="hnsw")
connection = Connection(sys.argv[1], spec)
connection.create()
fill_collection(connection, "many", vectors, spec)
(_, database, _), = server_manager_instance._servers.values()
collection = database.get_collection("many")
before = [segment.num_rows for segment in collection._segment_cache.values()]
indexed = [set(segment.indexes) for segment in collection._segment_cache.values()]
collection._wait_for_bg()
after = [segment.num_rows for segment in collection._segment_cache.values()]
print(before == after, len(before) < 4, indexed == [{"vector"}] * len(before))
"""


def test_nothing_is_merged_or_indexed_after_the_build_says_it_is_done(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY_FLUSHES, str(tmp_path / "a.db")],
        cwd=PROJECT,
        env={**os.environ, "MILVUS_LITE_MEMTABLE_MEMORY_LIMIT_BYTES": "50000"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (["True"] * 3, "")


def test_a_folder_that_another_process_has_open_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "held.db")
    holder = (
        "import sys; from milvus_lite import MilvusLite\n"
        "held = MilvusLite(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(IndexUnreachable, match=rf"{path}.*milvus-lite server"):
            Connection(path, FLAT).ask("list_collections")
        process.communicate()


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(IndexUnreachable, match=r"no Milvus at .*gone\.db.*ragdiag index build"):
        Connection(str(tmp_path / "gone.db"), FLAT).ask("list_collections")
    assert not (tmp_path / "gone.db").exists()
