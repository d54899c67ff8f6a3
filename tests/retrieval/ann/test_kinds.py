from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import faiss
import numpy as np
import pytest

from ragdiag.errors import IndexFault
from ragdiag.retrieval.ann import index as index_module
from ragdiag.retrieval.ann import kinds
from ragdiag.retrieval.ann.index import Ann, Effort, Vectors, build_ann, load_ann
from ragdiag.retrieval.ann.kinds import parts
from ragdiag.retrieval.ann.ladder import bytes_per_vector
from ragdiag.version import AnnKind, AnnSpec

N, D = 10_200, 16
KINDS = [kind for kind in get_args(AnnKind) if kind not in ("auto", "ivf_flat")]
EFFORT = Effort(ef_search=200, nprobe=64, refine_factor=20)


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    """Clustered, as embeddings are; the last is the first once more."""
    chance = np.random.default_rng(0)
    centres = chance.normal(size=(60, D))
    found = centres[chance.integers(60, size=N)] + 0.6 * chance.normal(size=(N, D))
    found[-1] = found[0]
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """FAISS's threads wait for one another where tests run beside one another."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)


@pytest.fixture(scope="module")
def built(vectors: Vectors) -> dict[str, Ann]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kinds, "OPQ_ROUNDS", 2)  # 20 take ten seconds
        return {kind: build_ann(vectors, _spec(kind)) for kind in KINDS}


def _spec(kind: str) -> AnnSpec:
    return AnnSpec.model_validate(
        {"kind": kind, "m": 8, "ef_construction": 60, "code_bytes": 4, "nlist": 64}
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_finds_nearly_all_exact_neighbours(
    kind: str, built: dict[str, Ann], vectors: Vectors
) -> None:
    found = [
        len(
            {*built[kind].search(query, 10, effort=EFFORT)[0].tolist()}
            & {*np.argsort(-(vectors @ query), kind="stable")[:10].tolist()}
        )
        for query in vectors[5:505:10]
    ]
    assert np.mean(found) >= 9.5


@pytest.mark.parametrize("kind", KINDS)
def test_a_passage_finds_itself_and_its_twin_ties_behind_it(
    kind: str, built: dict[str, Ann], vectors: Vectors
) -> None:
    positions, scores = built[kind].search(vectors[0], 2, effort=EFFORT)
    assert positions.tolist() == [0, N - 1]
    assert scores[0] == scores[1] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_only_allowed_passages_are_found(kind: str, built: dict[str, Ann]) -> None:
    allowed = np.arange(N) < N - 100  # more than are compared one by one
    query = built[kind].vectors(np.array([N - 50]))[0]
    positions, _ = built[kind].search(query, 20, effort=EFFORT, allowed=allowed)
    assert len(positions) == 20
    assert allowed[positions].all()


@pytest.mark.parametrize("kind", KINDS)
def test_few_allowed_passages_are_compared_exactly(
    kind: str, built: dict[str, Ann], vectors: Vectors
) -> None:
    chosen = np.array([3, 77, 4_000, 9_999])
    allowed = np.zeros(N, dtype=bool)
    allowed[chosen] = True
    positions, scores = built[kind].search(vectors[77], 10, allowed=allowed)
    assert sorted(positions.tolist()) == chosen.tolist()
    assert positions[0] == 77
    assert scores == pytest.approx(vectors[positions] @ vectors[77], abs=0.03)
    nothing = built[kind].search(vectors[77], 10, allowed=np.zeros(N, dtype=bool))
    assert [len(part) for part in nothing] == [0, 0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("hidden", "kept"), [(2_000, 50), (9_800, 7)], ids=["its own subject", "nearly everything"]
)
def test_a_tenant_with_little_near_the_question_gets_its_nearest_all_the_same(
    kind: str,
    hidden: int,
    kept: int,
    built: dict[str, Ann],
    vectors: Vectors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the ``hidden`` passages next to the question, others own all but every ``kept``-th."""
    monkeypatch.setattr(index_module, "_FEW", 10)
    shared = []
    for query in vectors[5:205:20]:
        near = np.argsort(-(vectors @ query), kind="stable")[:hidden]
        allowed = np.ones(N, dtype=bool)
        allowed[near] = np.arange(hidden) % kept == 0
        exact = np.argsort(-np.where(allowed, vectors @ query, -2.0), kind="stable")[:10]
        found, _ = built[kind].search(query, 100, effort=Effort(64, 2, 4), allowed=allowed)
        assert len(found) == 100
        assert allowed[found].all()
        shared.append(len({*exact.tolist()} & {*found[:10].tolist()}))
    assert np.mean(shared) >= 9.5


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_index_is_the_same_again(
    kind: str, built: dict[str, Ann], vectors: Vectors, tmp_path: Path
) -> None:
    path = tmp_path / "vectors.faiss"
    built[kind].save(path)
    loaded = load_ann(path, _spec(kind), N, D)
    for query in vectors[:20]:
        before, after = (ann.search(query, 10, effort=EFFORT) for ann in (built[kind], loaded))
        assert [part.tolist() for part in before] == [part.tolist() for part in after]
    low, high = loaded.score_range(vectors[3])
    products = vectors @ vectors[3]
    assert (low, high) == pytest.approx((products.min(), products.max()), abs=0.03)
    others = [other for other in KINDS if other != kind]
    for other in others:
        with pytest.raises(IndexFault, match=f"not {other}"):
            load_ann(path, _spec(other), N, D)


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_that_the_ladder_reckons_with_is_the_file_s(
    kind: str, built: dict[str, Ann], tmp_path: Path
) -> None:
    built[kind].save(tmp_path / "vectors.faiss")
    reckoned = bytes_per_vector(_spec(kind), N, D)
    assert (tmp_path / "vectors.faiss").stat().st_size / N == pytest.approx(reckoned, rel=0.12)


def test_every_part_measures_inner_products(built: dict[str, Ann]) -> None:
    for ann in built.values():
        metrics = [getattr(part, "metric_type", None) for part in parts(ann._index)]
        assert {metric for metric in metrics if metric is not None} == {0}


def test_an_l2_index_within_a_refiner_is_refused() -> None:
    inner = faiss.IndexIVFPQ(faiss.IndexFlatL2(8), 8, 1, 4, 8, faiss.METRIC_L2)
    refined = faiss.IndexRefine(inner, faiss.IndexFlatL2(8))
    with pytest.raises(IndexFault, match="inner product"):
        Ann(refined, AnnSpec(kind="ivf_pq", refine="flat"), 0, 8)


@pytest.mark.parametrize(("kind", "size"), [("ivf_pq", 9_983), ("opq", 100), ("rabitq", 38)])
def test_too_few_vectors_to_learn_codes_from_are_refused(
    kind: str, size: int, vectors: Vectors
) -> None:
    with pytest.raises(IndexFault, match=f"there are {size}"):
        build_ann(vectors[:size], _spec(kind))


def test_codes_must_divide_the_dimensions(vectors: Vectors) -> None:
    with pytest.raises(IndexFault, match="does not divide the 16 dimensions"):
        build_ann(vectors, AnnSpec(kind="ivf_pq", code_bytes=7))
