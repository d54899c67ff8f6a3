"""Every canary sings for a sound index and falls silent for a broken one."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pytest

from ragdiag.deploy import canary
from ragdiag.deploy.canary import (
    look_at_embeddings,
    look_at_neighbours,
    look_for_vectors,
    look_for_words,
)
from ragdiag.deploy.soundness import Target
from ragdiag.records import Passage
from ragdiag.retrieval.ann.index import Ann, Positions, Scores, Vectors, build_ann
from ragdiag.retrieval.ann.reduction import fit_reduction
from ragdiag.retrieval.builds import Index
from ragdiag.retrieval.lexical import build_lexical, index_terms
from ragdiag.version import AnnSpec, LexicalSpec, Version, parse_spec
from tests.retrieval.conftest import DIMENSION, ToyEncoder

AnnKind = Literal["flat", "hnsw"]

SPEC = "[embedder]\n[candidates]\ndepth = 20\n[generator]\nkind = 'extractive'"


@pytest.fixture
def target() -> Target:
    return Target(Version("dense", parse_spec(SPEC, source="toy")), "b1")


@pytest.fixture
def passages() -> list[Passage]:
    words = np.random.default_rng(0).integers(0, 3000, size=(400, 12))
    texts = (" ".join(f"w{word}" for word in row) for row in words)
    return [Passage(f"p{n}", f"p{n}", text) for n, text in enumerate(texts)]


@pytest.fixture
def vectors(passages: list[Passage]) -> Vectors:
    return ToyEncoder().encode([passage.text for passage in passages])


@pytest.fixture(params=["flat", "hnsw"])
def ann(request: pytest.FixtureRequest, vectors: Vectors) -> Ann:
    return build_ann(vectors, AnnSpec(kind=request.param))


def held(ann: Ann) -> Index:
    return Index("b1", (), ann=ann)


class Lost:
    """A search that never returns what it was asked for: a graph with broken links."""

    def __init__(self, ann: Ann, first: int) -> None:
        self._ann, self._first = ann, first
        self.size, self.dimension = ann.size, ann.dimension

    def search(self, vector: Vectors, depth: int) -> tuple[Positions, Scores]:
        positions, scores = self._ann.search(vector, depth)
        return positions[self._first :], scores[self._first :]

    def scores(self, vector: Vectors, positions: Positions) -> Scores:
        return self._ann.scores(vector, positions)

    def vectors(self, positions: Positions) -> Vectors:
        return self._ann.vectors(positions)


def test_vectors_find_themselves_unless_links_are_broken(ann: Ann, target: Target) -> None:
    finding, measured = look_for_vectors(ann, target)
    assert (finding.status, measured) == ("good", {"n": 200, "found": 200, "stray_norms": 0})
    finding, measured = look_for_vectors(Lost(ann, 1), target)  # type: ignore[arg-type]
    assert finding.status == "bad"
    assert measured["found"] < 10


def test_equal_passages_count_for_each_other(target: Target, vectors: Vectors) -> None:
    twice = build_ann(np.concatenate([vectors, vectors]), AnnSpec())
    assert look_for_vectors(twice, target)[1]["found"] == 200


def test_vectors_that_are_not_of_norm_1_are_told(target: Target, vectors: Vectors) -> None:
    long = build_ann(vectors * 1.2, AnnSpec())
    finding, measured = look_for_vectors(long, target)
    assert (finding.status, measured["stray_norms"]) == ("bad", 200)


def test_words_find_their_passage_unless_the_rows_are_shifted(
    target: Target, passages: list[Passage]
) -> None:
    spec = LexicalSpec()
    lexical = build_lexical([passage.text for passage in passages], spec)
    positions = np.arange(0, 400, 8)
    own = [passages[at] for at in positions]
    finding, measured = look_for_words(lexical, spec, positions, own, target)
    assert (finding.status, measured) == (
        "good",
        {"n": 50, "found": 50, "wordless": 0},
    )
    finding, measured = look_for_words(lexical, spec, positions + 1, own, target)
    assert finding.status == "bad"
    assert measured["found"] < 10
    assert finding.remedy.endswith("ragdiag index publish dense --build b1 --force")


def test_a_build_that_keeps_words_apart_from_their_marks_is_told(target: Target) -> None:
    spec = LexicalSpec()
    texts = ["कितनी छुट्टियाँ मिलती हैं", *(f"leave{n} policy" for n in range(20))]
    own = [Passage(f"p{n}", "d", text) for n, text in enumerate(texts)]
    earlier = index_terms([re.findall(r"\b\w\w+\b", text) for text in texts], spec)
    finding, _ = look_for_words(earlier, spec, np.arange(21), own, target)
    assert finding.status == "bad"
    assert "in 1 of 21 passages sampled: p0" in finding.what
    finding, _ = look_for_words(build_lexical(texts, spec), spec, np.arange(21), own, target)
    assert finding.status == "good"


def test_passages_without_words_are_named_and_keep_no_build_back(target: Target) -> None:
    spec = LexicalSpec()
    texts = [f"{n} | {n} | a | the" for n in range(4)] + [f"leave{n} policy" for n in range(16)]
    own = [Passage(f"p{n}", "d", text) for n, text in enumerate(texts)]
    finding, measured = look_for_words(build_lexical(texts, spec), spec, np.arange(20), own, target)
    assert (finding.status, measured) == ("warn", {"n": 16, "found": 16, "wordless": 4})
    assert "4 more have no word to be found by: p0, p1, p2, …" in finding.what


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_recall_of_approximate_search_has_a_floor(kind: AnnKind, target: Target) -> None:
    scattered = np.random.default_rng(1).normal(size=(400, 16)).astype(np.float32)
    scattered /= np.linalg.norm(scattered, axis=1, keepdims=True)
    ann = build_ann(scattered, AnnSpec(kind=kind))
    finding, measured = look_at_neighbours(ann, scattered[:40], target)
    assert (finding.status, measured["n"]) == ("good", 40)
    assert measured["value"] >= 0.99
    finding, measured = look_at_neighbours(Lost(ann, 2), scattered[:40], target)  # type: ignore[arg-type]
    assert finding.status == "bad"
    assert measured["value"] == pytest.approx(0.8)
    assert str(canary.RECALL_FLOOR) in finding.what


def test_another_model_behind_the_same_name_is_found(
    ann: Ann, target: Target, passages: list[Passage]
) -> None:
    positions = np.array([5, 17, 300])
    own = [passages[at] for at in positions]
    finding, measured = look_at_embeddings(held(ann), ToyEncoder(), positions, own, target)
    assert (finding.status, measured["n"], measured["dimension"]) == ("good", 3, DIMENSION)
    assert measured["cosine_min"] == pytest.approx(1.0)

    class Moved(ToyEncoder):
        def encode(self, texts, progress=None):  # type: ignore[no-untyped-def]
            return super().encode([f"{text} and more words" for text in texts])

    finding, measured = look_at_embeddings(held(ann), Moved(), positions, own, target)
    assert finding.status == "bad"
    assert measured["cosine_min"] < 0.99
    assert "the worst is p" in finding.what
    assert finding.remedy == "run: ragdiag index build dense"


@pytest.mark.parametrize("kind", ["pca", "truncate"])
def test_fewer_dimensions_are_compared_in_those_that_are_kept(
    kind: str, target: Target, passages: list[Passage], vectors: Vectors
) -> None:
    spec = AnnSpec.model_validate({"reduce": kind, "dimensions": 24})
    reduction = fit_reduction(vectors, spec)
    assert reduction is not None
    kept = [at for at in range(100) if vectors[at, :24].any()]
    index = Index(
        "b1", (), ann=build_ann(reduction.apply(vectors[kept]), spec), reduction=reduction
    )
    positions = np.arange(5)
    own = [passages[kept[at]] for at in positions]
    finding, measured = look_at_embeddings(index, ToyEncoder(), positions, own, target)
    assert (finding.status, measured["dimension"]) == ("good", 24)
    other = [passages[kept[at + 5]] for at in positions]
    assert look_at_embeddings(index, ToyEncoder(), positions, other, target)[0].status == "bad"


def test_a_model_that_gives_nan_is_bad(ann: Ann, target: Target, passages: list[Passage]) -> None:
    class Broken(ToyEncoder):
        def encode(self, texts, progress=None):  # type: ignore[no-untyped-def]
            return np.full((len(texts), DIMENSION), np.nan, dtype=np.float32)

    found, _ = look_at_embeddings(held(ann), Broken(), np.array([0]), passages[:1], target)
    assert found.status == "bad"
