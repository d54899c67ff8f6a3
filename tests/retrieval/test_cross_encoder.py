"""A cross-encoder is loaded once, and again when its folder holds another."""

from __future__ import annotations

from pathlib import Path

from ragdiag.retrieval.cross_encoder import load_cross_encoder
from tests.retrained import retrain
from tests.training.toy_reranking import make_base


def test_a_model_retrained_in_place_is_loaded_again(tmp_path: Path) -> None:
    name = make_base(tmp_path / "reranker")
    first = load_cross_encoder(name)
    assert load_cross_encoder(name) is first
    before = first.logits("which is red", ["red cat", "blue dog"], 2)
    retrain(Path(name))
    after = load_cross_encoder(name).logits("which is red", ["red cat", "blue dog"], 2)
    assert (before != after).all()
