"""MaxSim over word pieces, pinned to its plain definition on a tiny real model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.errors import ModelError
from ragdiag.records import Hit, Passage
from ragdiag.retrieval.embed import Embedder, WordPieces, load_embedder
from ragdiag.retrieval.late_interaction import (
    LateInteraction,
    encode_for_reranking,
    encoded,
    load_late_interaction,
    prominences,
)
from ragdiag.retrieval.rerank import open_reranker
from ragdiag.retrieval.vectors import open_cache, passage_text
from ragdiag.settings import Workspace
from ragdiag.version import EmbedderSpec, RerankerSpec

QUESTION = "does aspirin thin blood?"


@pytest.fixture
def spec(tiny_model: Path) -> RerankerSpec:
    return RerankerSpec(kind="late_interaction", model=str(tiny_model))


def texts_of(passages: Sequence[Passage]) -> list[str]:
    return [passage_text(passage, title=True) for passage in passages]


def plain(encoder: Any, question: str, texts: Sequence[str], counted: Sequence[str]) -> list[float]:
    held = [set(encoder.encode_pieces([text])[0].pieces.tolist()) for text in counted]
    asked = encoder.encode_pieces([question])[0]
    scores = []
    for text in texts:
        passage = encoder.encode_pieces([text])[0]
        total = weights = 0.0
        for piece, vector in zip(asked.pieces.tolist(), asked.vectors, strict=True):
            n = sum(piece in pieces for pieces in held)
            weight = math.log(1 + len(counted) / max(n, 1))
            cosines = [float(vector @ other) for other in passage.vectors]
            total += weight * (max(cosines) - 0.75 * sum(cosines) / len(cosines))
            weights += weight
        scores.append(total / weights)
    return scores


def test_it_is_the_weighed_mean_of_how_far_the_best_cosines_stand_out(
    spec: RerankerSpec, passages: list[Passage], workspace: Workspace
) -> None:
    texts = texts_of(passages)
    found = load_late_interaction(passages, spec, open_cache(workspace)).logits(QUESTION, texts, 4)
    encoder = load_embedder(EmbedderSpec(model=spec.model))
    assert found == pytest.approx(plain(encoder, QUESTION, texts, texts), abs=0.01)


class Letters:
    """An encoder whose word pieces are letters, each with an axis of its own."""

    def encode_pieces(self, texts: Sequence[str]) -> list[WordPieces]:
        pieces = [np.array([ord(one) - 97 for one in text], dtype=np.int64) for text in texts]
        return [WordPieces(ids, np.eye(26, dtype=np.float32)[ids]) for ids in pieces]

    def one_thread(self) -> AbstractContextManager[None]:
        return nullcontext()


def letters(held: dict[str, int], counted: int) -> LateInteraction:
    holding = {ord(letter) - 97: n for letter, n in held.items()}
    encoder: Any = Letters()
    return LateInteraction(encoder, encoder, {}, holding, counted)


def test_a_rare_word_decides() -> None:
    rare, common = letters({"a": 1, "b": 99}, 100).logits("ab", ["a", "b"], 1)
    weights = math.log(101), math.log(1 + 100 / 99)
    assert (rare, common) == pytest.approx([0.25 * one / sum(weights) for one in weights])


def test_what_is_near_to_a_whole_passage_does_not_stand_out() -> None:
    scorer = letters({"a": 1}, 100)
    told, on_the_subject = scorer.logits("a", ["abcd", "aaaa"], 1)
    assert (told, on_the_subject) == pytest.approx((1 - 0.75 / 4, 0.25))


def test_words_that_no_passage_holds_and_texts_without_any() -> None:
    scorer = letters({}, 0)
    assert scorer.logits("", ["a"], 2).tolist() == [0.0]
    assert scorer.logits("a", ["", "b"], 2).tolist() == [0.0, 0.0]


@given(st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_a_direction_is_kept_to_a_byte_a_number(dimension: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(3, dimension)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = list(prominences(unit, [encoded(unit), encoded(unit[:0])]))
    cosines = unit @ unit.T
    # Rounding turns a vector by up to 1/254 of its largest number in each place.
    assert found[0] == pytest.approx(cosines.max(axis=1) - 0.75 * cosines.mean(axis=1), abs=4e-3)
    assert found[1].tolist() == [0.0, 0.0, 0.0]


def test_what_was_encoded_before_is_not_encoded_again(
    spec: RerankerSpec,
    passages: list[Passage],
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = texts_of(passages)
    fresh = load_late_interaction(passages, spec, open_cache(workspace)).logits(QUESTION, texts, 4)
    told: list[float] = []
    encode_for_reranking(passages, spec, workspace, lambda share, _: told.append(share))
    assert told == sorted(told)
    assert told[-1] == 1.0
    asked: list[str] = []
    real = Embedder.encode_pieces

    def noted(self: Embedder, texts: Sequence[str]) -> list[WordPieces]:
        asked.extend(texts)
        return real(self, texts)

    monkeypatch.setattr(Embedder, "encode_pieces", noted)
    scorer = load_late_interaction(passages, spec, open_cache(workspace))
    assert scorer.logits(QUESTION, texts, 4) == pytest.approx(fresh, abs=1e-6)
    assert asked == [QUESTION]
    scorer.logits(QUESTION, ["new", *texts, "new"], 4)
    scorer.logits(QUESTION, ["new"], 4)
    assert asked == [QUESTION, "new"]


def test_it_reranks_and_an_adapter_makes_another_model(
    spec: RerankerSpec, passages: list[Passage], workspace: Workspace, plain_adapter: Path
) -> None:
    by_id = {passage.passage_id: passage for passage in passages}
    hits = tuple(Hit(name, 1.0 - at / 10) for at, name in enumerate(by_id))
    encode_for_reranking(passages, spec, workspace)
    logits = open_reranker(by_id, spec, workspace).logits(QUESTION, hits)
    found = open_reranker(by_id, spec, workspace).rerank(QUESTION, hits)
    order = sorted(range(len(hits)), key=lambda at: -logits[at])
    assert [hit.passage_id for hit in found] == [hits[at].passage_id for at in order]
    adapted = spec.model_copy(update={"adapter": str(plain_adapter)})
    encode_for_reranking(passages, adapted, workspace)
    assert len(list(workspace.embeddings.glob("*-pieces"))) == 2
    assert open_reranker(by_id, adapted, workspace).logits(QUESTION, hits) != logits


def test_threads_are_given_back_whoever_else_works_meanwhile(tiny_model: Path) -> None:
    import torch

    encoder = load_embedder(EmbedderSpec(model=str(tiny_model)))
    assert isinstance(encoder, Embedder)
    before = torch.get_num_threads()
    with encoder.one_thread():
        with encoder.one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == before, "the inner one asked nobody how many there are"
    assert torch.get_num_threads() == before


def test_a_model_with_nan_weights_is_named(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_embedder(EmbedderSpec(model=str(tiny_model), max_tokens=16))
    assert isinstance(encoder, Embedder)
    weights = encoder.model[0].model.embeddings.word_embeddings.weight
    monkeypatch.setattr(weights, "data", weights.data * float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        encoder.encode_pieces(["a"])
