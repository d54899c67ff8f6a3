from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragdiag.errors import IndexFault, StoreFull
from ragdiag.progress import Progress
from ragdiag.records import NO_METADATA, IndexBuild, Passage, PassageMetadata
from ragdiag.retrieval import builds
from ragdiag.retrieval.builds import build_ids, build_index, load_index
from ragdiag.retrieval.embed import Vectors
from ragdiag.retrieval.ids import read_metadata
from ragdiag.settings import PROJECT, Workspace
from ragdiag.version import Spec

MakeSpec = Callable[..., Spec]


@pytest.fixture
def spec(make_spec: MakeSpec) -> Spec:
    return make_spec(embedder={}, lexical={})


@pytest.fixture
def build(
    passages: list[Passage], spec: Spec, workspace: Workspace, toy_encoder: Any
) -> IndexBuild:
    return build_index(passages, spec, workspace)


def files(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in workspace.indexes.iterdir())


def test_a_build_says_what_it_is_made_of(
    build: IndexBuild, passages: list[Passage], spec: Spec, workspace: Workspace
) -> None:
    folder = workspace.indexes / build.build_id
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest == build.manifest
    assert (build.passages, build.dimension, build.ann_kind) == (6, 64, "flat")
    assert manifest["dense"]["metric"] == "inner_product"
    assert manifest["dense"]["ntotal"] == 6
    assert manifest["libraries"]["faiss-cpu"]
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert manifest["files"].keys() == found - {"manifest.json"}
    assert build.index_key == spec.index_key
    assert build_ids(workspace, build.build_id) == [
        (passage.passage_id, passage.content_hash) for passage in reversed(passages)
    ]


def test_the_same_thing_is_built_once_whatever_the_order(
    build: IndexBuild, passages: list[Passage], spec: Spec, workspace: Workspace
) -> None:
    assert build_index(passages[::-1], spec, workspace) == build
    assert files(workspace) == [build.build_id]


def test_settings_content_and_model_each_make_another_build(
    build: IndexBuild,
    passages: list[Passage],
    spec: Spec,
    workspace: Workspace,
    make_spec: MakeSpec,
    toy_encoder: Any,
) -> None:
    others = [
        build_index(passages[:-1], spec, workspace),
        build_index([*passages[:-1], Passage("p5", "d2", "changed")], spec, workspace),
        build_index(passages, make_spec(embedder={}, lexical={"k1": 1.2}), workspace),
    ]
    toy_encoder.model_hash = "retrained"
    others.append(build_index(passages, spec, workspace))
    assert len({build.build_id, *(other.build_id for other in others)}) == 5


@pytest.mark.parametrize(
    "tables",
    [
        {"lexical": {}},
        {"lexical": {"engine": "rank_bm25"}},
        {"embedder": {}},
        {"embedder": {}, "ann": {"kind": "hnsw"}},
    ],
)
def test_one_path_builds_and_loads_without_the_other(
    tables: dict[str, Any],
    passages: list[Passage],
    workspace: Workspace,
    make_spec: MakeSpec,
    toy_encoder: Any,
) -> None:
    spec = make_spec(**tables)
    index = load_index(workspace, build_index(passages, spec, workspace).build_id, spec)
    assert (index.lexical is not None, index.ann is not None) == (
        "lexical" in tables,
        "embedder" in tables,
    )
    assert index.passage_ids == ("p5", "p4", "p3", "p2", "p1", "p0")


@pytest.mark.parametrize("name", ["vectors.faiss", "ids.parquet", "lexical/data.csc.index.npy"])
def test_a_flipped_byte_is_found_and_the_remedy_mends_it(
    name: str, build: IndexBuild, passages: list[Passage], spec: Spec, workspace: Workspace
) -> None:
    path = workspace.indexes / build.build_id / name
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(IndexFault, match=rf"{name} has changed.*ragdiag index build"):
        load_index(workspace, build.build_id, spec)
    assert build_index(passages, spec, workspace).build_id == build.build_id
    assert load_index(workspace, build.build_id, spec).ann is not None


@pytest.mark.parametrize("name", ["manifest.json", "vectors.faiss", "ids.parquet"])
def test_a_missing_file_is_named(
    name: str, build: IndexBuild, spec: Spec, workspace: Workspace
) -> None:
    (workspace.indexes / build.build_id / name).unlink()
    with pytest.raises(IndexFault, match=name):
        load_index(workspace, build.build_id, spec)


def test_a_missing_build_and_another_spec_are_named(
    build: IndexBuild, workspace: Workspace, make_spec: MakeSpec
) -> None:
    with pytest.raises(IndexFault, match="index build gone is missing"):
        load_index(workspace, "gone", make_spec(lexical={}))
    with pytest.raises(IndexFault, match="cannot read"):
        build_ids(workspace, "gone")
    with pytest.raises(IndexFault, match="another spec"):
        load_index(workspace, build.build_id, make_spec(lexical={}))


def test_a_build_under_another_default_is_refused(
    passages: list[Passage],
    workspace: Workspace,
    make_spec: MakeSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec, other = make_spec(lexical={}), make_spec(lexical={"title": False})
    build = build_index(passages, other, workspace)
    monkeypatch.setattr(Spec, "index_key", build.index_key)
    with pytest.raises(IndexFault, match="another spec"):
        load_index(workspace, build.build_id, spec)
    assert build_index(passages, spec, workspace).build_id != build.build_id


def test_a_model_that_changed_since_the_build_is_refused(
    build: IndexBuild, spec: Spec, workspace: Workspace, toy_encoder: Any
) -> None:
    toy_encoder.model_hash = "retrained"
    with pytest.raises(IndexFault, match="model all-MiniLM-L6-v2 has changed"):
        load_index(workspace, build.build_id, spec)


def test_nothing_to_index_and_an_id_twice_are_refused(
    passages: list[Passage], spec: Spec, workspace: Workspace, toy_encoder: Any
) -> None:
    with pytest.raises(IndexFault, match="corpus is empty"):
        build_index([], spec, workspace)
    with pytest.raises(IndexFault, match="passage p3 is given twice"):
        build_index([*passages, passages[3]], spec, workspace)
    assert not workspace.indexes.exists()


def test_a_nan_vector_leaves_no_build(
    passages: list[Passage],
    spec: Spec,
    workspace: Workspace,
    toy_encoder: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def spoilt(texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        return np.full((len(texts), toy_encoder.dimension), np.nan, dtype=np.float32)

    monkeypatch.setattr(toy_encoder, "encode", spoilt)
    with pytest.raises(IndexFault, match=r"passage p\d has norm nan"):
        build_index(passages, spec, workspace)
    assert files(workspace) == []


def test_a_full_disk_leaves_no_build(
    passages: list[Passage],
    spec: Spec,
    workspace: Workspace,
    toy_encoder: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(path: Path, passages: Sequence[Passage]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(builds, "write_ids", full)
    with pytest.raises(StoreFull, match="indexes"):
        build_index(passages, spec, workspace)
    assert files(workspace) == []


def test_builds_of_one_id_at_the_same_time_agree(
    passages: list[Passage], spec: Spec, workspace: Workspace, toy_encoder: Any
) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: build_index(passages, spec, workspace), range(4)))
    assert len({build.build_id for build in made}) == 1
    assert files(workspace) == [made[0].build_id]
    assert load_index(workspace, made[0].build_id, spec).ann is not None


def test_reading_ids_imports_no_model_code(build: IndexBuild, workspace: Workspace) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from ragdiag.settings import Workspace\n"
        "from ragdiag.retrieval.builds import build_ids\n"
        f"print(len(build_ids(Workspace(Path({str(workspace.root)!r})), {build.build_id!r})))\n"
        "heavy = {'torch', 'transformers', 'peft', 'faiss', 'sentence_transformers', 'bm25s'}\n"
        "print(*heavy & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["6"], "")


def test_auto_and_fewer_dimensions_are_remembered_by_the_build(
    passages: list[Passage], make_spec: MakeSpec, workspace: Workspace, toy_encoder: Any
) -> None:
    ann = {"kind": "auto", "reduce": "pca", "dimensions": 4}
    spec = make_spec(embedder={"title": False}, ann=ann)
    build = build_index(passages, spec, workspace)
    assert (build.dimension, build.ann_kind) == (4, "flat")
    assert build.manifest["dense"]["embedded"] == 64
    assert "reduction.vt" in build.manifest["files"]
    index = load_index(workspace, build.build_id, spec)
    assert index.reduction is not None
    assert index.ann is not None
    question = index.reduction.apply(toy_encoder.encode([passages[4].text]))[0]
    positions, scores = index.ann.search(question, 1)
    assert index.passage_ids[positions[0]] == "p4"
    assert scores[0] == pytest.approx(1.0, abs=1e-6)


def test_metadata_are_in_the_build_and_make_it_another(
    build: IndexBuild, passages: list[Passage], spec: Spec, workspace: Workspace, toy_encoder: Any
) -> None:
    at = datetime(2026, 1, 5, 12, 30, tzinfo=UTC)
    known = PassageMetadata("acme", "health", at, ("staff", "vet"))
    tagged = [replace(passages[0], metadata=known), *passages[1:]]
    other = build_index(tagged, spec, workspace)
    assert other.build_id != build.build_id
    assert build_ids(workspace, other.build_id) == build_ids(workspace, build.build_id)
    folder = workspace.indexes / other.build_id
    assert read_metadata(folder / "ids.parquet") == [NO_METADATA] * 5 + [known]
    plain = read_metadata(workspace.indexes / build.build_id / "ids.parquet")
    assert plain == [NO_METADATA] * 6


@pytest.mark.parametrize("kind", ["flat", "hnsw", "auto"])
def test_a_sharded_build_says_its_shards_and_finds_the_same(
    kind: str,
    passages: list[Passage],
    make_spec: MakeSpec,
    workspace: Workspace,
    toy_encoder: Any,
) -> None:
    topics = ["health", "virus", "virus", "health", "", ""]
    tagged = [
        replace(passage, metadata=PassageMetadata(topic=topic))
        for passage, topic in zip(passages, topics, strict=True)
    ]
    whole = make_spec(embedder={}, ann={"kind": kind})
    spec = make_spec(embedder={}, ann={"kind": kind, "shard_by": "topic"})
    build = build_index(tagged, spec, workspace)
    shards = build.manifest["dense"]["shards"]
    assert [(shard["label"], shard["passages"]) for shard in shards] == [
        ("", 2),
        ("health", 2),
        ("virus", 2),
    ]
    routing = build.manifest["dense"]["routing"]
    assert (routing["passages"], routing["recall"].keys()) == (6, {"1", "2"})
    assert 0 < routing["recall"]["1"] <= routing["recall"]["2"] <= 1
    files = build.manifest["files"].keys()
    assert {"vectors/00.faiss", "vectors/02.faiss", "shards.npz"} < files
    plain = load_index(workspace, build_index(tagged, whole, workspace).build_id, whole).ann
    loaded = load_index(workspace, build.build_id, spec).ann
    assert plain is not None
    assert loaded is not None
    for query in toy_encoder.encode([passage.text for passage in passages]):
        one, other = plain.search(query, 4), loaded.search(query, 4)
        assert [part.tolist() for part in one] == [part.tolist() for part in other]


def test_settings_of_the_search_alone_share_a_build(make_spec: MakeSpec) -> None:
    keys = {
        make_spec(embedder={}, ann={"kind": "rabitq", **search}).index_key
        for search in ({}, {"nprobe": 99}, {"refine_factor": 9}, {"ef_search": 9})
    }
    assert len(keys) == 1
