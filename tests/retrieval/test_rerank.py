from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.errors import ModelError
from ragdiag.records import Hit, Passage
from ragdiag.retrieval.breaker import Unavailable
from ragdiag.retrieval.cross_encoder import load_cross_encoder
from ragdiag.retrieval.rerank import UNFINISHED, Reranker, probability
from ragdiag.version import RerankerSpec

N = 12
PASSAGES = {f"p{i}": Passage(f"p{i}", "d", f"text {i}") for i in range(N)}
HITS = tuple(Hit(f"p{i}", 1.0 - i / 100) for i in range(N))


class Table:
    """Logits by passage, with the batches that were asked for."""

    def __init__(self, logits: Sequence[float], wait_s: float = 0.0) -> None:
        self.logits_of = {f"text {i}": logit for i, logit in enumerate(logits)}
        self.batches: list[list[str]] = []
        self.wait_s = wait_s

    def logits(self, question: str, texts: Sequence[str], batch: int) -> Any:
        time.sleep(self.wait_s)
        self.batches.append(list(texts))
        return np.array([self.logits_of[text] for text in texts])


def reranker(scorer: Table, **settings: Any) -> Reranker:
    return Reranker(PASSAGES, RerankerSpec(model="m", **settings), scorer)


def finish(late: Reranker) -> None:
    assert late._later is not None
    late._later.submit(int).result(10)  # behind all that waits


def ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.passage_id for hit in hits]


@given(st.lists(st.floats(-9, 9), min_size=N, max_size=N), st.integers(1, 15), st.integers(1, 15))
def test_it_is_a_stable_sort_of_the_head_and_leaves_the_tail(
    logits: list[float], depth: int, batch: int
) -> None:
    found = reranker(Table(logits), depth=depth, batch=batch).rerank("Why?", HITS)
    head = sorted(range(min(depth, N)), key=lambda i: -logits[i])
    assert ids(found) == [f"p{i}" for i in [*head, *range(min(depth, N), N)]]
    scores = [hit.score for hit in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores[:depth])
    assert scores[depth:] == [-float(place) for place in range(1, N - min(depth, N) + 1)]


def test_a_logit_becomes_a_calibrated_probability() -> None:
    spec = RerankerSpec(model="m", slope=2.0, offset=-1.0)
    assert probability(0.75, spec) == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert [probability(logit, spec) for logit in (-1e6, 1e6)] == [0.0, 1.0]


def test_a_weight_lets_the_fused_score_have_a_say() -> None:
    found = reranker(Table([-1.0, 0.0, 1.0, *[9.0] * 9]), depth=3, weight=0.25).rerank("Why?", HITS)
    mixed = [0.25 / (1 + np.exp(1)) + 0.75, 0.25 / 2 + 0.75 / 2, 0.25 / (1 + np.exp(-1))]
    assert ids(found) == [hit.passage_id for hit in HITS]
    assert [hit.score for hit in found[:3]] == pytest.approx(mixed)
    assert [hit.score for hit in found[3:5]] == [-1, -2]
    alone = reranker(Table([-1.0, 0.0, 1.0, *[9.0] * 9]), depth=3).rerank("Why?", HITS)
    assert ids(alone)[:3] == ["p2", "p1", "p0"]


def test_log_odds_may_be_what_it_is_mixed_with() -> None:
    scorer = Table([-1.0, 0.0, 1.0, *[9.0] * 9])
    settings = {"slope": 4.0, "offset": -5.0, "weight": 0.25, "scale": "log_odds"}
    found = reranker(scorer, depth=3, **settings).rerank("Why?", HITS)
    mixed = [0.25 * (4 * logit - 5) + 0.75 * share for logit, share in ((1, 0), (0, 0.5), (-1, 1))]
    assert ids(found)[:3] == ["p2", "p1", "p0"]
    assert [hit.score for hit in found[:3]] == pytest.approx([1 / (1 + np.exp(-x)) for x in mixed])


def test_its_patience_goes_by_what_it_is_ordered_by() -> None:
    """Logits rise with every batch, but the fused score keeps the first two in front."""
    scorer = Table([n / 100 for n in range(N)])
    settings = {"batch": 2, "top": 2, "patience": 2, "weight": 0.1}
    found = reranker(scorer, **settings).rerank("Why?", HITS)
    assert len(scorer.batches) == 3
    assert ids(found) == [f"p{i}" for i in range(N)]


def test_it_ends_early_once_batches_bring_nothing_into_the_top() -> None:
    scorer = Table([5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5, 9])
    settings = {"batch": 2, "top": 2, "patience": 2}
    found = reranker(scorer, **settings).rerank("Why?", HITS)
    assert len(scorer.batches) == 3, "two batches in a row without a newcomer"
    assert ids(found) == [f"p{i}" for i in range(N)]
    assert [hit.score for hit in found[6:]] == [-1, -2, -3, -4, -5, -6]
    patient = Table([5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5, 9])
    assert ids(reranker(patient, batch=2, top=2).rerank("Why?", HITS))[0] == "p11"


def test_over_its_budget_it_is_skipped() -> None:
    slow = reranker(Table(range(N), wait_s=0.03), batch=4, budget_ms=20)
    for _ in range(2):
        with pytest.raises(Unavailable, match="rerank: over its budget of 20 ms"):
            slow.rerank("Why?", HITS)


def test_or_it_finishes_behind_the_answer_for_the_next_who_asks_the_same() -> None:
    scorer = Table(range(N), wait_s=0.01)
    late = reranker(scorer, batch=4, depth=8, budget_ms=5, late="later")
    with pytest.raises(Unavailable):
        late.rerank("Why?", HITS)
    finish(late)
    asked = len(scorer.batches)
    more = (*HITS, Hit("p0x", 0.0))
    assert ids(late.rerank("Why?", more)) == [
        *[f"p{i}" for i in range(7, -1, -1)],
        *["p8", "p9", "p10", "p11", "p0x"],
    ]
    assert len(scorer.batches) == asked
    with pytest.raises(Unavailable):
        Reranker(PASSAGES, late._spec, scorer).rerank("Why not?", HITS)


def test_what_is_finished_later_waits_once_and_not_without_limit() -> None:
    scorer = Table([0.0] * N, wait_s=0.005)
    late = reranker(scorer, batch=6, budget_ms=1, late="later")
    release = threading.Event()
    assert late._later is not None
    late._later.submit(release.wait)
    for number in range(UNFINISHED + 10):
        for _ in range(2):
            with pytest.raises(Unavailable):
                late.rerank(f"Why {number}?", HITS)
    before = len(scorer.batches)
    release.set()
    finish(late)
    assert len(scorer.batches) - before == 2 * UNFINISHED
    assert ids(late.rerank("Why 0?", HITS)) == ids(HITS)
    with pytest.raises(Unavailable):
        late.rerank(f"Why {UNFINISHED}?", HITS)
    finish(late)
    assert ids(late.rerank(f"Why {UNFINISHED}?", HITS)) == ids(HITS)


def test_what_cannot_be_finished_later_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    scorer = Table(range(4), wait_s=0.01)  # and no logit of the second batch
    late = reranker(scorer, batch=4, depth=8, budget_ms=5, late="later")
    with pytest.raises(Unavailable):
        late.rerank("Why?", HITS)
    finish(late)
    (told,) = [one for one in caplog.records if one.name == "ragdiag.retrieval.rerank"]
    assert told.exc_info is not None
    assert told.exc_info[0] is KeyError
    assert not late._unfinished


def test_nothing_to_rerank_is_nothing() -> None:
    assert reranker(Table([])).rerank("Why?", ()) == ()


@pytest.fixture(scope="module")
def tiny_cross_encoder(tiny_model: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A BERT with random weights and one output, as sentence-transformers saves it."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("cross")
    torch.manual_seed(3)
    tokenizer = AutoTokenizer.from_pretrained(str(tiny_model))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        num_labels=1,
        initializer_range=0.5,
    )
    BertForSequenceClassification(config).save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    CrossEncoder(str(folder / "bert"), device="cpu").save(str(folder / "model"))
    return str(folder / "model")


def test_a_real_cross_encoder_gives_one_logit_a_pair_whatever_the_batch(
    tiny_cross_encoder: str,
) -> None:
    texts = ["a virus", "the capital of france and its rivers", "bread", "salt " * 100]
    encoder = load_cross_encoder(tiny_cross_encoder, 32)
    alone = [encoder.logits("what spreads", [text], 1)[0] for text in texts]
    assert encoder.logits("what spreads", texts, 4) == pytest.approx(alone, abs=1e-4)
    assert len({round(logit, 4) for logit in alone}) == 4
    assert encoder is load_cross_encoder(tiny_cross_encoder, 32)


def test_what_is_no_cross_encoder_is_named(tmp_path: Any, tiny_model: Any) -> None:
    with pytest.raises(ModelError, match="no cross-encoder at /nowhere"):
        load_cross_encoder("/nowhere")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot load the cross-encoder"):
        load_cross_encoder(str(tmp_path))
