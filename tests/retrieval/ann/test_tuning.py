from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.errors import IndexFault
from ragdiag.records import Estimate
from ragdiag.retrieval.ann.index import Vectors
from ragdiag.retrieval.ann.tuning import (
    Objective,
    Trial,
    choose,
    make_task,
    mean_recall,
    pareto,
    settings,
    try_setting,
)
from ragdiag.version import AnnSpec


def unit_vectors(n: int, d: int, seed: int) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


VECTORS, QUESTIONS = unit_vectors(600, 16, 0), unit_vectors(60, 16, 1)


def test_exact_search_finds_all_and_a_graph_finds_more_the_harder_it_tries() -> None:
    task = make_task(VECTORS, QUESTIONS, k=5, depth=5)
    (exact,) = try_setting(task, AnnSpec(kind="flat"))
    assert (exact.recall.value, exact.recall.n, exact.confirmed.n) == (1.0, 30, 30)
    assert (exact.recall.low, exact.recall.high) == (1.0, 1.0)
    assert exact.bytes_per_vector == pytest.approx(4 * 16, rel=0.02)
    spec = AnnSpec(kind="hnsw", m=4, ef_construction=10)
    by_effort = {trial.spec.ef_search: trial.recall.value for trial in try_setting(task, spec)}
    assert list(by_effort) == [16, 32, 64, 128, 256, 512]
    assert by_effort[16] < by_effort[512]


def test_perfect_recall_of_some_questions_is_no_certainty() -> None:
    found = mean_recall([1.0] * 30, 5)
    assert 0.95 < found.low < found.value == found.high == 1.0


def test_neighbours_are_those_of_whole_vectors_whatever_is_kept_of_them() -> None:
    task = make_task(VECTORS, QUESTIONS, k=5, depth=5)
    (cut,) = try_setting(task, AnnSpec(kind="flat", reduce="truncate", dimensions=12))
    assert 0.1 < cut.recall.value < 0.9
    assert 4 * 12 <= cut.bytes_per_vector < 4 * 13


def test_recall_is_measured_as_deep_as_lists_are_served() -> None:
    """Efforts below the depth explore as many nodes as there are to find."""
    task = make_task(VECTORS, QUESTIONS, k=5, depth=600)
    trials = try_setting(task, AnnSpec(kind="hnsw", m=8))
    assert {trial.recall.value for trial in trials} == {1.0}


def test_fewer_vectors_than_k_are_all_neighbours() -> None:
    task = make_task(VECTORS[:3], QUESTIONS, k=10, depth=10)
    assert task.k == 3
    assert try_setting(task, AnnSpec(kind="flat"))[0].recall.value == 1.0


def test_what_cannot_be_learned_from_so_few_is_refused() -> None:
    with pytest.raises(IndexFault, match="there are 600"):
        try_setting(make_task(VECTORS, QUESTIONS, 5, 5), AnnSpec(kind="opq", code_bytes=4))


def test_the_sweep_changes_only_what_belongs_to_a_kind() -> None:
    base = AnnSpec(refine="sq6", nlist=7)
    found = settings(base, ["hnsw", "rabitq"])
    assert [(one.kind, one.m, one.ef_construction) for one in found] == [
        *[("hnsw", m, ef) for m in (16, 32) for ef in (100, 200)],
        ("rabitq", 32, 200),
    ]
    assert {(one.refine, one.nlist) for one in found} == {("sq6", 7)}


def trial(recall: float, p95: float, size: float, width: float = 0.02) -> Trial:
    estimate = Estimate(recall, recall - width, recall + width, 100)
    time = Estimate(p95, p95, p95, 100)
    return Trial(AnnSpec(), estimate, estimate, time, time, size, 1.0)


@pytest.mark.parametrize(("objective", "size"), [("latency", 900.0), ("memory", 300.0)])
def test_the_cheapest_whose_lower_bound_meets_the_target_is_chosen(
    objective: Objective, size: float
) -> None:
    trials = [
        trial(0.99, 3.0, 1500.0),
        trial(0.98, 1.0, 900.0),
        trial(0.97, 2.0, 300.0),
        trial(0.96, 0.1, 100.0),  # its interval reaches below
    ]
    chosen = choose(trials, 0.95, objective)
    assert chosen is not None
    assert chosen.bytes_per_vector == size
    assert choose(trials, 0.98, objective) is None


numbers = st.integers(1, 4).map(float)


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=12))
def test_the_front_holds_just_what_nothing_beats(rows: list[tuple[float, float, float]]) -> None:
    trials = [trial(recall / 5, p95, size) for recall, p95, size in rows]
    front = {(t.recall.value * 5, t.p95_ms.value, t.bytes_per_vector) for t in pareto(trials)}
    plain = {
        one
        for one in rows
        if not any(
            other != one and other[0] >= one[0] and other[1] <= one[1] and other[2] <= one[2]
            for other in rows
        )
    }
    assert {tuple(round(value, 6) for value in one) for one in front} == plain
