from __future__ import annotations

from pathlib import Path
from typing import Literal

import faiss
import numpy as np
import pytest

from ragdiag.errors import IndexFault
from ragdiag.retrieval.ann.index import Ann, Effort, Vectors, build_ann, load_ann
from ragdiag.version import AnnSpec

SPECS = [AnnSpec(kind="flat"), AnnSpec(kind="hnsw", m=8)]


def unit_vectors(n: int, d: int, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("spec", SPECS)
def test_search_gives_the_exact_neighbours_with_their_cosines(spec: AnnSpec) -> None:
    vectors, queries = unit_vectors(500, 16), unit_vectors(10, 16, seed=1)
    ann = build_ann(vectors, spec)
    for query in queries:
        positions, scores = ann.search(query, 10, effort=Effort(500, 1, 1))
        cosines = vectors.astype(np.float64) @ query
        assert positions.tolist() == np.argsort(-cosines)[:10].tolist()
        assert scores == pytest.approx(cosines[positions], abs=1e-6)


def test_hnsw_explores_at_least_the_depth_asked_for() -> None:
    ann = build_ann(unit_vectors(300, 8), AnnSpec(kind="hnsw", m=8, ef_search=1))
    positions, _ = ann.search(unit_vectors(1, 8)[0], 100)
    assert len(set(positions.tolist())) == 100


@pytest.mark.parametrize("spec", SPECS)
def test_a_depth_beyond_the_index_gives_all(spec: AnnSpec) -> None:
    ann = build_ann(unit_vectors(5, 8), spec)
    positions, scores = ann.search(unit_vectors(1, 8, seed=2)[0], 50)
    assert sorted(positions.tolist()) == [0, 1, 2, 3, 4]
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)


def test_equal_passages_tie_exactly_and_the_lowest_positions_win_the_cut() -> None:
    vectors = np.concatenate([unit_vectors(3, 33, seed=3), np.repeat(unit_vectors(1, 33), 40, 0)])
    positions, scores = build_ann(vectors, AnnSpec()).search(unit_vectors(1, 33)[0], 7)
    assert positions.tolist() == [3, 4, 5, 6, 7, 8, 9]
    assert len(set(scores.tolist())) == 1


@pytest.mark.parametrize("spec", SPECS)
def test_scores_and_range_are_those_of_every_vector(spec: AnnSpec) -> None:
    vectors, query = unit_vectors(50, 8), unit_vectors(1, 8, seed=4)[0]
    ann, cosines = build_ann(vectors, spec), vectors @ query
    chosen = np.array([7, 3, 49])
    assert ann.scores(query, chosen) == pytest.approx(cosines[chosen], abs=1e-6)
    assert ann.score_range(query) == pytest.approx((cosines.min(), cosines.max()), abs=1e-6)


@pytest.mark.parametrize("spec", SPECS)
def test_a_saved_index_searches_as_before(spec: AnnSpec, tmp_path: Path) -> None:
    built = build_ann(unit_vectors(100, 8), spec)
    built.save(tmp_path / "vectors.faiss")
    loaded = load_ann(tmp_path / "vectors.faiss", spec, 100, 8)
    query = unit_vectors(1, 8, seed=5)[0]
    for one, other in zip(built.search(query, 10), loaded.search(query, 10), strict=True):
        assert one.tolist() == other.tolist()


def test_efconstruction_and_m_are_those_of_the_spec(tmp_path: Path) -> None:
    path = tmp_path / "vectors.faiss"
    build_ann(unit_vectors(50, 8), AnnSpec(kind="hnsw", m=6, ef_construction=77)).save(path)
    index = faiss.read_index(str(path))
    assert index.hnsw.efConstruction == 77
    assert index.hnsw.nb_neighbors(1) == 6
    assert index.metric_type == faiss.METRIC_INNER_PRODUCT


@pytest.mark.parametrize(
    ("index", "kind", "size", "dimension"),
    [
        (faiss.IndexFlatL2(8), "flat", 0, 8),
        (faiss.IndexHNSWFlat(8, 8), "hnsw", 0, 8),
        (faiss.IndexFlatIP(8), "hnsw", 0, 8),
        (faiss.IndexFlatIP(8), "flat", 1, 8),
        (faiss.IndexFlatIP(8), "flat", 0, 9),
    ],
    ids=["l2", "hnsw-l2", "kind", "count", "dimension"],
)
def test_an_index_that_is_not_what_was_asked_for_is_refused(
    index: faiss.Index, kind: Literal["flat", "hnsw"], size: int, dimension: int
) -> None:
    with pytest.raises(IndexFault, match="inner product"):
        Ann(index, AnnSpec(kind=kind), size, dimension)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vectors.faiss"
    build_ann(unit_vectors(50, 8), AnnSpec()).save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(IndexFault, match=r"vectors\.faiss"):
        load_ann(path, AnnSpec(), 50, 8)
