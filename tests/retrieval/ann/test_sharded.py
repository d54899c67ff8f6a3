"""All shards are the whole index; what searching the nearest ones alone misses is told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.errors import IndexFault
from ragdiag.records import NO_METADATA, PassageMetadata
from ragdiag.retrieval.ann.index import Effort, Vectors, build_ann
from ragdiag.retrieval.ann.routing import routing_recall
from ragdiag.retrieval.ann.sharded import ShardedIndex, build_sharded, load_sharded
from ragdiag.retrieval.ann.shards import MOST, OTHERS, Shards, load_shards, make_shards
from ragdiag.version import AnnSpec

BY_TOPIC = AnnSpec(shard_by="topic")
ALL = Effort(64, 16, 4)


def unit(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def sharded(topics: list[str], vectors: Vectors, spec: AnnSpec = BY_TOPIC) -> ShardedIndex:
    shards = make_shards([PassageMetadata(topic=topic) for topic in topics], vectors, spec)
    assert shards is not None
    return build_sharded(vectors, shards, spec)


def clusters(n: int = 400, groups: int = 8, d: int = 16) -> tuple[list[str], Vectors]:
    """Topics of passages and their vectors, which lie around their topic's."""
    chance = np.random.default_rng(3)
    centres, of = chance.normal(size=(groups, d)), chance.integers(0, groups, n)
    vectors = unit((centres[of] + 1.2 * chance.normal(size=(n, d))).astype(np.float32))
    return [f"topic {group}" for group in of], vectors


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_all_shards_are_the_whole_in_order_scores_and_ties(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 60))
    # few different vectors, so that most of them tie
    pool = unit(np.random.default_rng(data.draw(st.integers(0, 9))).normal(size=(5, 4))).astype(
        "f4"
    )
    vectors = pool[data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))]
    topics = data.draw(st.lists(st.sampled_from("abcd"), min_size=n, max_size=n))
    allowed = data.draw(st.none() | st.lists(st.booleans(), min_size=n, max_size=n).map(np.array))
    depth = data.draw(st.integers(1, 70))
    whole, parts = build_ann(vectors, AnnSpec()), sharded(topics, vectors)
    for query in pool:
        one, other = (index.search(query, depth, allowed=allowed) for index in (whole, parts))
        assert [part.tolist() for part in other] == [part.tolist() for part in one]
        wanted = np.array([n - 1, 0])
        assert parts.scores(query, wanted).tolist() == whole.scores(query, wanted).tolist()
        assert parts.vectors(wanted).tolist() == vectors[wanted].tolist()
        assert parts.score_range(query) == pytest.approx(whole.score_range(query), abs=1e-6)


def test_routing_costs_what_is_told_and_less_the_more_is_searched() -> None:
    topics, vectors = clusters()
    index = sharded(topics, vectors)
    themselves = np.arange(0, 400, 7)
    told = routing_recall(
        index,
        vectors[themselves],
        depth=10,
        shards=(1, 2, 4, 8),
        effort=ALL,
        themselves=themselves,
    )
    by_hand = []
    for at in themselves.tolist():
        lists = [
            [p for p in index.search(vectors[at], 11, effort=effort)[0].tolist() if p != at][:10]
            for effort in (ALL, Effort(64, 16, 4, shards=1))
        ]
        by_hand.append(len({*lists[0]} & {*lists[1]}) / 10)
    assert told[1] == pytest.approx(np.mean(by_hand))
    assert 0.3 < told[1] < told[2] < told[4] < told[8] == 1.0


def test_the_filter_chooses_shards_before_the_question_does() -> None:
    topics, vectors = clusters()
    index = sharded(topics, vectors)
    allowed = np.array([topic == "topic 3" for topic in topics])
    for query in vectors[:20]:
        positions, _ = index.search(query, 5, effort=Effort(64, 16, 4, shards=1), allowed=allowed)
        assert allowed[positions].all()
        assert len(positions) == 5


def test_shards_that_hold_too_few_are_joined_by_the_next() -> None:
    topics, vectors = clusters()
    positions, _ = sharded(topics, vectors).search(
        vectors[0], 399, effort=Effort(64, 16, 4, shards=1)
    )
    assert len(positions) == 399


@pytest.mark.parametrize("kind", ["flat", "hnsw", "rabitq"])
def test_saved_shards_search_as_before_and_small_ones_are_flat(kind: str, tmp_path: Path) -> None:
    topics, vectors = clusters()
    topics[:5] = ["rare"] * 5
    spec = AnnSpec.model_validate({"kind": kind, "shard_by": "topic", "refine": "flat"})
    shards = make_shards([PassageMetadata(topic=topic) for topic in topics], vectors, spec)
    assert shards is not None
    built = build_sharded(vectors, shards, spec)
    assert built.kinds == ["flat" if kind == "rabitq" else kind] + [kind] * 8
    built.save(tmp_path / "vectors")
    shards.save(tmp_path / "shards.npz")
    kept = load_shards(tmp_path / "shards.npz")
    assert kept.labels == ("rare", *(f"topic {n}" for n in range(8)))
    again = load_sharded(tmp_path / "vectors", kept, built.kinds, spec, 16)
    for query in vectors[::50]:
        one, other = (index.search(query, 10) for index in (built, again))
        assert [part.tolist() for part in other] == [part.tolist() for part in one]


@pytest.mark.parametrize(
    ("period", "labels"),
    [
        ("year", ("", "2025", "2026")),
        ("quarter", ("", "2025-Q4", "2026-Q1", "2026-Q2")),
        ("month", ("", "2025-12", "2026-03", "2026-04")),
    ],
)
def test_time_is_cut_in_calendar_periods(period: str, labels: tuple[str, ...]) -> None:
    times = [
        datetime(2025, 12, 31, 23, tzinfo=UTC),
        *(datetime(2026, m, 1, tzinfo=UTC) for m in (3, 4)),
    ]
    known = [NO_METADATA, *(PassageMetadata(published_at=at) for at in times)]
    spec = AnnSpec.model_validate({"shard_by": "time", "shard_period": period})
    shards = make_shards(known, np.eye(4, dtype=np.float32), spec)
    assert shards is not None
    assert shards.labels == labels


def test_the_smallest_of_very_many_shards_share_one() -> None:
    topics = [f"t{n:03}" for n in range(100) for _ in range(2 if n < 10 else 1)]
    vectors = np.tile(np.eye(1, 4, dtype=np.float32), (len(topics), 1))
    shards = make_shards([PassageMetadata(topic=t) for t in topics], vectors, BY_TOPIC)
    assert shards is not None
    assert len(shards.labels) == MOST
    assert {*shards.labels} > {OTHERS, *(f"t{n:03}" for n in range(10))}
    assert np.bincount(shards.of)[shards.labels.index(OTHERS)] == 110 - 10 * 2 - (MOST - 11)


def test_without_a_wish_there_are_no_shards() -> None:
    assert make_shards([NO_METADATA], np.eye(1, 4, dtype=np.float32), AnnSpec()) is None


def test_vectors_that_cancel_out_leave_a_shard_that_can_be_searched() -> None:
    vectors = np.array([[1, 0], [-1, 0]], dtype=np.float32)
    shards = make_shards([NO_METADATA] * 2, vectors, BY_TOPIC)
    assert isinstance(shards, Shards)
    assert shards.centroids.tolist() == [[0, 0]]
    assert build_sharded(vectors, shards, BY_TOPIC).search(vectors[1], 2)[0].tolist() == [1, 0]


@pytest.mark.parametrize("content", [b"", b"PK nonsense", None])
def test_shards_that_cannot_be_read_are_named(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "shards.npz").write_bytes(content)
    with pytest.raises(IndexFault, match=r"cannot read .*shards\.npz"):
        load_shards(tmp_path / "shards.npz")
