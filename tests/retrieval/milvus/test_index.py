"""What Milvus finds is what FAISS finds, on the real embedded engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ragdiag.errors import IndexFault
from ragdiag.records import PassageMetadata
from ragdiag.retrieval.ann.index import Effort, Mask, Vectors, build_ann
from ragdiag.retrieval.ann.routing import routing_recall
from ragdiag.retrieval.ann.sharded import build_sharded
from ragdiag.retrieval.ann.shards import make_shards
from ragdiag.retrieval.milvus import index as index_module
from ragdiag.retrieval.milvus.connection import Connection
from ragdiag.retrieval.milvus.filling import fill_collection
from ragdiag.retrieval.milvus.index import MilvusIndex
from ragdiag.version import AnnSpec

N, D = 400, 16
KINDS = ["flat", "hnsw", "hnsw_sq8", "ivf_flat"]
HARD = Effort(ef_search=400, nprobe=1000, refine_factor=1)


def spec_of(kind: str, **more: Any) -> AnnSpec:
    return AnnSpec.model_validate({"engine": "milvus", "uri": "vectors.db", "kind": kind, **more})


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    chance = np.random.default_rng(0)
    made = chance.normal(size=(N, D)).astype(np.float32)
    made[300:340] = made[300]  # forty passages that say the same
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def filled(milvus: Connection, vectors: Vectors) -> dict[str, MilvusIndex]:
    """An index of each kind."""
    made = {}
    for kind in KINDS:
        facts = fill_collection(milvus, f"kind_{kind}", vectors, spec_of(kind))
        made[kind] = MilvusIndex(milvus, facts, spec_of(kind), N, D)
    return made


def same(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    return [part.tolist() for part in one] == [part.tolist() for part in other]


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_and_scores_are_those_of_flat_faiss(
    kind: str, filled: dict[str, MilvusIndex], vectors: Vectors
) -> None:
    exact = build_ann(vectors, AnnSpec())
    for query in vectors[:20]:
        assert same(filled[kind].search(query, 7, effort=HARD), exact.search(query, 7))
    chosen, query = np.array([399, 0, 7, 301]), vectors[3]
    assert filled[kind].vectors(chosen).tolist() == vectors[chosen].tolist()
    assert filled[kind].scores(query, chosen).tolist() == exact.scores(query, chosen).tolist()


def test_equal_passages_tie_and_the_lowest_positions_win_the_cut(
    filled: dict[str, MilvusIndex], vectors: Vectors
) -> None:
    positions, scores = filled["flat"].search(vectors[310], 5)
    assert positions.tolist() == [300, 301, 302, 303, 304]
    assert len(set(scores.tolist())) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("few", [1, 1000], ids=["searched", "fetched"])
@pytest.mark.parametrize(
    "allowed",
    [
        np.arange(N) % 2 == 0,
        np.arange(N) >= 310,
        np.arange(N) % 40 == 0,
        np.arange(N) != 5,
        np.zeros(N, dtype=bool),
    ],
    ids=["half", "most ties", "few", "all but one", "nobody"],
)
def test_only_the_allowed_are_found(
    kind: str,
    few: int,
    allowed: Mask,
    filled: dict[str, MilvusIndex],
    vectors: Vectors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_module, "_FEW", few)
    exact = build_ann(vectors, AnnSpec())
    for query in (*vectors[:8], vectors[300]):
        found = filled[kind].search(query, 6, effort=HARD, allowed=allowed)
        assert allowed[found[0]].all()
        wanted = exact.search(query, 6, allowed=allowed)
        assert found[1].tolist() == wanted[1].tolist()
        if kind == "flat":
            assert found[0].tolist() == wanted[0].tolist()


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf_flat"])
def test_a_filter_that_lets_little_through_is_asked_position_by_position(
    kind: str,
    filled: dict[str, MilvusIndex],
    vectors: Vectors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_module, "_FEW", 1)
    monkeypatch.setattr(index_module, "_LISTED", 23)
    monkeypatch.setattr(filled[kind], "_limit", 40)
    allowed = np.arange(N) % 5 == 0
    exact = build_ann(vectors, AnnSpec())
    for query in vectors[1:9]:
        found = filled[kind].search(query, 12, effort=Effort(200, 1, 1), allowed=allowed)
        assert same(found, exact.search(query, 12, allowed=allowed))


def test_effort_counts(filled: dict[str, MilvusIndex], vectors: Vectors) -> None:
    queries = np.random.default_rng(1).normal(size=(40, D)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    exact = build_ann(vectors, AnnSpec())

    def recall(effort: Effort) -> float:
        hits = 0
        for query in queries:
            found, _ = filled["ivf_flat"].search(query, 10, effort=effort)
            hits += len(np.intersect1d(found, exact.search(query, 10)[0]))
        return hits / 400

    assert recall(Effort(1, 1, 1)) < 0.9 < recall(HARD) == 1.0


def test_a_depth_beyond_the_index_gives_all(
    filled: dict[str, MilvusIndex], vectors: Vectors
) -> None:
    positions, scores = filled["flat"].search(vectors[0], 1000)
    assert sorted(positions.tolist()) == list(range(N))
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)


def test_the_range_over_all_is_not_told(filled: dict[str, MilvusIndex], vectors: Vectors) -> None:
    with pytest.raises(IndexFault, match='normalisation = "bounds"'):
        filled["flat"].score_range(vectors[0])


def test_partitions_are_shards_that_are_searched_as_faiss_shards_are(
    milvus: Connection, vectors: Vectors
) -> None:
    known = [PassageMetadata(topic=f"topic {at % 5}") for at in range(N)]
    spec = spec_of("flat", shard_by="topic")
    shards = make_shards(known, vectors, spec)
    assert shards is not None
    facts = fill_collection(milvus, "sharded", vectors, spec, shards)
    index = MilvusIndex(milvus, facts, spec, N, D, shards)
    beside = build_sharded(vectors, shards, spec)
    allowed = np.arange(N) % 3 == 0
    for query in (*vectors[:5], vectors[300]):
        for most in (None, 1, 2):
            effort = Effort(64, 16, 4, shards=most)
            for mask in (None, allowed):
                found = index.search(query, 9, effort=effort, allowed=mask)
                assert same(found, beside.search(query, 9, effort=effort, allowed=mask))
    told = [
        routing_recall(one, vectors[:9], depth=5, shards=(1, 2), effort=HARD)
        for one in (index, beside)
    ]
    assert told[0] == told[1]
    assert 0 < told[0][1] < told[0][2] < 1
