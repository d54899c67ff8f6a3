from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.errors import InputError, ModelError
from ragdiag.progress import Progress
from ragdiag.records import Hit, Passage, PassageMetadata
from ragdiag.retrieval.builds import build_index, load_index
from ragdiag.retrieval.embed import Vectors
from ragdiag.retrieval.filters import STRANGER, PassageFilter
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.paths import best_positions
from ragdiag.settings import Workspace
from ragdiag.version import Spec

MakeSpec = Callable[..., Spec]
Retriever = Callable[[Spec], HybridRetriever]
BOTH: dict[str, Any] = {"embedder": {"title": False}, "lexical": {"title": False}}
QUESTION = "how does the virus spread"


@pytest.fixture
def retriever(workspace: Workspace, passages: list[Passage], toy_encoder: Any) -> Retriever:
    def make(spec: Spec) -> HybridRetriever:
        build = build_index(passages, spec, workspace)
        return HybridRetriever(load_index(workspace, build.build_id, spec), spec, toy_encoder)

    return make


def ids(hits: Sequence[Hit] | None) -> list[str]:
    return [hit.passage_id for hit in hits or ()]


def test_one_path_alone_is_its_own_fusion(retriever: Retriever, make_spec: MakeSpec) -> None:
    lexical = retriever(make_spec(lexical={})).retrieve(QUESTION)
    assert lexical.dense is None
    assert lexical.fused == lexical.lexical
    assert ids(lexical.fused)[0] == "p1"
    assert lexical.latency_ms.keys() == {"lexical"}
    dense = retriever(make_spec(embedder={})).retrieve(QUESTION)
    assert dense.lexical is None
    assert dense.fused == dense.dense
    assert dense.latency_ms.keys() == {"embed", "dense"}


def test_every_list_is_kept_with_scores_and_times(
    retriever: Retriever, make_spec: MakeSpec
) -> None:
    found = retriever(make_spec(**BOTH, candidates={"depth": 3})).retrieve(QUESTION)
    for hits in (found.lexical, found.dense, found.fused):
        scores = [hit.score for hit in hits or ()]
        assert 0 < len(scores) <= 3
        assert scores == sorted(scores, reverse=True)
        assert all(type(score) is float for score in scores)
    assert found.latency_ms.keys() == {"embed", "lexical", "dense", "fusion"}
    assert min(found.latency_ms.values()) > 0
    assert found.searched_depth == 3


def test_a_passage_without_a_word_of_the_question_is_no_lexical_candidate(
    retriever: Retriever, make_spec: MakeSpec
) -> None:
    found = retriever(make_spec(lexical={"title": False})).retrieve("yeast")
    assert ids(found.lexical) == ["p4"]
    assert retriever(make_spec(lexical={})).retrieve("unheard-of").fused == ()


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
@pytest.mark.parametrize("normalisation", ["bounds", "minmax"])
def test_convex_equals_its_definition_over_the_union(
    kind: str,
    normalisation: str,
    retriever: Retriever,
    make_spec: MakeSpec,
    passages: list[Passage],
    toy_encoder: Any,
) -> None:
    fusion = {"kind": "convex", "alpha": 0.3, "normalisation": normalisation}
    shallow = make_spec(**BOTH, fusion=fusion, ann={"kind": kind}, candidates={"depth": 2})
    full = retriever(make_spec(lexical={"title": False})).retrieve(QUESTION).fused
    lexical = {passage.passage_id: 0.0 for passage in passages}
    lexical |= {hit.passage_id: hit.score for hit in full}
    vectors = toy_encoder.encode([passage.text for passage in passages])
    cosines = vectors.astype(float) @ toy_encoder.encode([QUESTION])[0].astype(float)
    dense = {p.passage_id: float(c) for p, c in zip(passages, cosines, strict=True)}
    found = retriever(shallow).retrieve(QUESTION)

    words = [set(passage.text.split()) for passage in passages]
    counts = [sum(word in w for w in words) for word in ("how", "does", "virus", "spread")]
    bound = sum(math.log1p((6 - n + 0.5) / (n + 0.5)) for n in counts if n)
    spans = {
        "bounds": ((-1.0, 1.0), (0.0, bound)),
        "minmax": (
            (min(dense.values()), max(dense.values())),
            (min(lexical.values()), max(lexical.values())),
        ),
    }[normalisation]
    expected = {}
    for passage_id in {*ids(found.lexical), *ids(found.dense)}:
        scaled = [
            (scores[passage_id] - low) / (high - low)
            for scores, (low, high) in zip((dense, lexical), spans, strict=True)
        ]
        expected[passage_id] = 0.3 * scaled[0] + 0.7 * scaled[1]
    best = sorted(expected, key=lambda i: (expected[i], i), reverse=True)[:2]
    assert ids(found.fused) == best
    assert [hit.score for hit in found.fused] == pytest.approx(
        [expected[i] for i in best], abs=1e-5
    )


def test_rrf_counts_ranks_of_both_lists(retriever: Retriever, make_spec: MakeSpec) -> None:
    found = retriever(make_spec(**BOTH, fusion={"kind": "rrf", "k": 10})).retrieve(QUESTION)
    expected: dict[str, float] = {}
    for ranked in (ids(found.lexical), ids(found.dense)):
        for rank, passage_id in enumerate(ranked, start=1):
            expected[passage_id] = expected.get(passage_id, 0.0) + 1 / (10 + rank)
    assert {hit.passage_id: hit.score for hit in found.fused} == pytest.approx(expected)


def test_ties_go_to_the_higher_passage_id(
    workspace: Workspace, make_spec: MakeSpec, toy_encoder: Any
) -> None:
    twins = [Passage(name, name, "the same words") for name in ("b", "d", "a", "c")]
    for tables in (BOTH, {**BOTH, "fusion": {"kind": "convex"}}):
        spec = make_spec(**tables, candidates={"depth": 3})
        index = load_index(workspace, build_index(twins, spec, workspace).build_id, spec)
        found = HybridRetriever(index, spec, toy_encoder).retrieve("same words")
        assert ids(found.lexical) == ids(found.dense) == ids(found.fused) == ["d", "c", "b"]


@pytest.mark.parametrize("question", ["", " \n"])
def test_an_empty_question_is_refused(
    question: str, retriever: Retriever, make_spec: MakeSpec
) -> None:
    with pytest.raises(InputError, match="question is empty"):
        retriever(make_spec(lexical={})).retrieve(question)


def test_a_question_that_becomes_nan_is_refused(
    retriever: Retriever, make_spec: MakeSpec, toy_encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = retriever(make_spec(**BOTH))

    def spoilt(texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        return np.full((len(texts), toy_encoder.dimension), np.nan, dtype=np.float32)

    monkeypatch.setattr(toy_encoder, "encode", spoilt)
    with pytest.raises(ModelError, match="not finite for 'how does"):
        loaded.retrieve(QUESTION)


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0]), max_size=30), st.integers(1, 12))
def test_best_positions_equal_a_plain_sort(scores: list[float], depth: int) -> None:
    plain = sorted((i for i, s in enumerate(scores) if s > 0), key=lambda i: (-scores[i], i))
    assert best_positions(np.array(scores, dtype=np.float32), depth).tolist() == plain[:depth]


def test_only_allowed_passages_are_candidates_of_either_path(
    retriever: Retriever, make_spec: MakeSpec
) -> None:
    every = retriever(make_spec(**BOTH))
    allowed = np.array([True, True, True, False, False, True])  # p5 … p0: p2 and p1 are not
    found = every.retrieve(QUESTION, allowed=allowed)
    for hits in (found.lexical, found.dense, found.fused):
        assert hits
        assert not {"p1", "p2"} & {*ids(hits)}
    nothing = every.retrieve(QUESTION, allowed=np.zeros(6, dtype=bool))
    assert (nothing.lexical, nothing.dense, nothing.fused) == ((), (), ())


@pytest.mark.parametrize("ann", [{"kind": "flat"}, {"kind": "hnsw"}])
@pytest.mark.parametrize("mode", ["union", "prefilter"])
def test_a_stranger_finds_nothing_of_a_tenant_by_any_path(
    ann: dict[str, str],
    mode: str,
    retriever: Retriever,
    make_spec: MakeSpec,
    passages: list[Passage],
) -> None:
    passages[1] = replace(passages[1], metadata=PassageMetadata(tenant="acme"))
    passages[2] = replace(passages[2], metadata=PassageMetadata(tenant="other", roles=("staff",)))
    loaded = retriever(make_spec(**BOTH, ann=ann, candidates={"mode": mode}))
    askers = {
        STRANGER: set(),
        PassageFilter(tenant="acme"): {"p1"},
        PassageFilter(tenant="other"): set(),
        PassageFilter(tenant="other", roles=frozenset({"staff"})): {"p2"},
    }
    for only, own in askers.items():
        found = loaded.retrieve(QUESTION, only=only)
        for hits in (found.lexical, found.dense, found.fused):
            assert {*ids(hits)} & {"p1", "p2"} == own
    mask = np.ones(6, dtype=bool)
    assert not {*ids(loaded.retrieve(QUESTION, allowed=mask).fused)} & {"p1", "p2"}


def test_what_a_stranger_may_not_read_moves_no_share_of_the_dense_path(
    retriever: Retriever, make_spec: MakeSpec, passages: list[Passage]
) -> None:
    passages[5] = replace(passages[5], text=QUESTION, metadata=PassageMetadata(tenant="acme"))
    fusion = {"kind": "convex", "alpha": 1.0, "normalisation": "minmax"}
    loaded = retriever(make_spec(**BOTH, fusion=fusion))
    best, *_ = loaded.retrieve(QUESTION).fused
    assert best.score == pytest.approx(1.0)
    first, second, *_ = loaded.retrieve(QUESTION, only=PassageFilter(tenant="acme")).fused
    assert (first.passage_id, second.passage_id) == ("p5", best.passage_id)
    assert second.score < 1.0
    nothing = loaded.retrieve(QUESTION, allowed=np.zeros(6, dtype=bool))
    assert nothing.fused == ()


def test_prefilter_scores_the_lexical_candidates_exactly_and_no_others(
    retriever: Retriever, make_spec: MakeSpec
) -> None:
    union = retriever(make_spec(**BOTH)).retrieve(QUESTION)
    found = retriever(make_spec(**BOTH, candidates={"mode": "prefilter"})).retrieve(QUESTION)
    assert found.lexical == union.lexical
    assert {*ids(found.dense)} == {*ids(found.lexical)} == {*ids(found.fused)}
    exact = {hit.passage_id: hit.score for hit in union.dense or ()}
    assert [hit.score for hit in found.dense or ()] == sorted(
        (exact[name] for name in ids(found.lexical)), reverse=True
    )


def test_prefilter_searches_vectors_where_no_word_is_known(
    retriever: Retriever, make_spec: MakeSpec
) -> None:
    prefilter = retriever(make_spec(**BOTH, candidates={"mode": "prefilter"}))
    found = prefilter.retrieve("of the")
    assert found.lexical == ()
    assert ids(found.dense) == ids(found.fused) != []


class Faulty:
    """An encoder that fails, or waits, until it is told not to."""

    model_hash, dimension, title = "toy", 64, False

    def __init__(self, encoder: Any, *, wait_s: float | None = None) -> None:
        self.encoder, self.wait_s, self.broken, self.asked = encoder, wait_s, True, 0

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        self.asked += 1
        if self.broken and self.wait_s is None:
            raise RuntimeError("out of memory")
        if self.broken:
            time.sleep(self.wait_s or 0)
        found: Vectors = self.encoder.encode(texts, progress)
        return found


@pytest.mark.parametrize(
    ("wait_s", "reason"),
    [(None, "dense: RuntimeError"), (0.3, "dense: no answer within its deadline")],
    ids=["error", "late"],
)
def test_words_answer_alone_while_the_dense_path_is_down_and_it_comes_back(
    wait_s: float | None,
    reason: str,
    workspace: Workspace,
    passages: list[Passage],
    toy_encoder: Any,
    make_spec: MakeSpec,
) -> None:
    spec = make_spec(**BOTH, degradation={"dense_ms": 50, "failures": 2, "retry_s": 0.3})
    index = load_index(workspace, build_index(passages, spec, workspace).build_id, spec)
    faulty = Faulty(toy_encoder, wait_s=wait_s)
    retriever = HybridRetriever(index, spec, faulty)
    whole = HybridRetriever(index, spec, toy_encoder).retrieve(QUESTION)
    for expected in (reason, reason, "dense: left alone after failures in a row"):
        found = retriever.retrieve(QUESTION)
        assert found.degraded_reason == expected
        assert found.dense is None
        assert found.fused == found.lexical == whole.lexical
        assert found.latency_ms.keys() == {"lexical"}
    assert faulty.asked == 2
    faulty.broken = False
    time.sleep(0.35)
    again = retriever.retrieve(QUESTION)
    assert (again.degraded_reason, again.fused) == (None, whole.fused)


def test_without_degradation_a_failure_is_a_failure(
    workspace: Workspace, passages: list[Passage], toy_encoder: Any, make_spec: MakeSpec
) -> None:
    spec = make_spec(**BOTH)
    index = load_index(workspace, build_index(passages, spec, workspace).build_id, spec)
    with pytest.raises(RuntimeError, match="out of memory"):
        HybridRetriever(index, spec, Faulty(toy_encoder)).retrieve(QUESTION)


def test_where_there_are_no_words_to_fall_back_to_a_failure_is_a_failure(
    workspace: Workspace, passages: list[Passage], toy_encoder: Any, make_spec: MakeSpec
) -> None:
    spec = make_spec(embedder={}, degradation={"dense_ms": 50})
    index = load_index(workspace, build_index(passages, spec, workspace).build_id, spec)
    with pytest.raises(RuntimeError, match="out of memory"):
        HybridRetriever(index, spec, Faulty(toy_encoder)).retrieve(QUESTION)


def test_passages_that_left_the_corpus_are_found_by_no_path(
    workspace: Workspace, passages: list[Passage], toy_encoder: Any, make_spec: MakeSpec
) -> None:
    spec = make_spec(**BOTH)
    index = load_index(workspace, build_index(passages, spec, workspace).build_id, spec)
    buried = HybridRetriever(index.without({"p1", "p2", "unknown"}), spec, toy_encoder)
    found = buried.retrieve(QUESTION)
    for hits in (found.lexical, found.dense, found.fused):
        assert hits
        assert not {"p1", "p2"} & {*ids(hits)}
    only_p1 = np.array([name == "p1" for name in index.passage_ids])
    assert buried.retrieve(QUESTION, allowed=only_p1).fused == ()
    risen = HybridRetriever(index.without({"p1"}).without(()), spec, toy_encoder)
    whole = HybridRetriever(index, spec, toy_encoder)
    assert risen.retrieve(QUESTION).fused == whole.retrieve(QUESTION).fused
    left, all_of_them = (one.evidence(QUESTION, {"p1", "p2"}) for one in (buried, whole))
    assert not left.relevant.any()
    assert all_of_them.relevant.sum() == 2


@pytest.mark.parametrize("degradation", [None, {"dense_ms": 5_000}], ids=["plain", "guarded"])
def test_a_vector_that_was_made_before_is_not_made_again(
    degradation: dict[str, float] | None,
    retriever: Retriever,
    make_spec: MakeSpec,
    toy_encoder: Any,
) -> None:
    hybrid = retriever(make_spec(**BOTH, degradation=degradation))
    whole = hybrid.retrieve(QUESTION)
    before = toy_encoder.encoded.count(QUESTION)
    embedding = hybrid.embed(QUESTION)
    assert embedding is not None
    found = hybrid.retrieve(QUESTION, embedding=embedding)
    assert toy_encoder.encoded.count(QUESTION) == before + 1
    assert (found.fused, found.dense) == (whole.fused, whole.dense)
    assert found.latency_ms["embed"] == embedding.ms > 0
    assert retriever(make_spec(lexical={})).embed(QUESTION) is None


def test_an_embedder_that_fails_is_asked_once_and_a_dead_index_does_not_hide_behind_it(
    workspace: Workspace, passages: list[Passage], toy_encoder: Any, make_spec: MakeSpec
) -> None:
    spec = make_spec(**BOTH, degradation={"failures": 2})
    index = load_index(workspace, build_index(passages, spec, workspace).build_id, spec)
    faulty = Faulty(toy_encoder)
    retriever = HybridRetriever(index, spec, faulty)
    found = retriever.retrieve(QUESTION, embedding=retriever.embed(QUESTION))
    assert (found.degraded_reason, faulty.asked) == ("embed: RuntimeError", 1)
    assert found.latency_ms.keys() == {"lexical"}

    class Dead:
        def scores(self, *_: Any) -> None:
            raise OSError("gone")

    retriever = HybridRetriever(dataclasses.replace(index, ann=Dead()), spec, toy_encoder)  # type: ignore[arg-type]
    told = [
        retriever.retrieve(QUESTION, embedding=retriever.embed(QUESTION)).degraded_reason
        for _ in range(3)
    ]
    assert told == ["dense: OSError"] * 2 + ["dense: left alone after failures in a row"]
