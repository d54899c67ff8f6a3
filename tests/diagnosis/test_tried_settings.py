"""A setting of one's own: every name and range is checked, and all of them make one setting."""

from __future__ import annotations

import pytest

from ragdiag.diagnosis.tried_settings import NAMES, own_setting
from ragdiag.errors import InputError
from ragdiag.version import parse_spec

HYBRID = parse_spec("[lexical]\n[embedder]\n[generator]\nkind = 'extractive'", source="toy")
LEXICAL = parse_spec("[lexical]\n[generator]\nkind = 'extractive'", source="toy")


def test_all_pairs_make_one_setting() -> None:
    own = own_setting(HYBRID, ["k=10", "alpha=.6"])
    assert own.name == "yours: k 5 → 10, alpha = 0.6"
    assert (own.spec.context.k, own.spec.fusion.kind, own.spec.fusion.alpha) == (10, "convex", 0.6)
    assert own.toml == '[context] k = 10; [fusion] kind = "convex", alpha = 0.6'
    assert own.chunk_tokens is None
    assert {"rerank_loss", "fusion_loss"} <= set(own.mends)
    assert own.spec.index_key == HYBRID.index_key


def test_another_size_of_passages_leaves_the_spec_alone() -> None:
    own = own_setting(LEXICAL, ["chunk_tokens=100"])
    assert (own.chunk_tokens, own.spec) == (100, LEXICAL)
    assert own.toml.startswith("ragdiag import corpus PATH --max-tokens 100")


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        (["k"], f"'k' is no setting that can be tried; write NAME=VALUE with one of: {NAMES[0]}"),
        (["speed=3"], "'speed=3' is no setting"),
        (["k=0"], "k=0: k must be at least 1;"),
        (["k=ten"], "k=ten: k must be a whole number;"),
        (["alpha=1.6"], "alpha=1.6: alpha must be at most 1;"),
        (["alpha=nan"], "alpha=nan: "),
        (["k=5"], "k=5 is what the version has already"),
        (["k=6", "k=7"], "k is set twice"),
        (["alpha=.6", "rrf_k=9"], "alpha and rrf_k are of two kinds of fusion"),
        (["rerank_depth=9"], "rerank_depth needs a reranker"),
        (["chunk_tokens=3"], "chunk_tokens=3 is no size of a passage"),
    ],
)
def test_a_mistake_names_the_pair(pairs: list[str], told: str) -> None:
    with pytest.raises(InputError) as caught:
        own_setting(HYBRID, pairs)
    assert str(caught.value).startswith(told)


def test_one_path_has_no_weight() -> None:
    with pytest.raises(InputError, match="alpha weighs two paths, and the version has one"):
        own_setting(LEXICAL, ["alpha=.6"])
