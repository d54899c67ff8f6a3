"""Who mistakes what for an answer: BM25, the present model over its index, and failed requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ragdiag.records import Passage
from ragdiag.retrieval.ann.index import VectorIndex
from ragdiag.retrieval.embed import Encoder
from ragdiag.retrieval.lexical import build_lexical
from ragdiag.retrieval.vectors import passage_text
from ragdiag.training.data.examples import Pair
from ragdiag.training.data.negatives import Finder
from ragdiag.version import LexicalSpec

DEPTH = 30
"""Candidates for each pair, golds among them."""


def bm25_finder(passages: Sequence[Passage], spec: LexicalSpec, depth: int = DEPTH) -> Finder:
    """The passages that share the most telling words with the question. Raises IndexFault where
    they have no word between them."""
    index = build_lexical([passage_text(one, title=spec.title) for one in passages], spec)

    def find(pairs: Sequence[Pair]) -> list[list[str]]:
        found = []
        for pair in pairs:
            scores = index.scores(pair.question)
            order = np.argsort(-scores, kind="stable")[:depth]
            found.append([passages[at].passage_id for at in order if scores[at] > 0])
        return found

    return find


def dense_finder(
    encoder: Encoder, index: VectorIndex, passage_ids: Sequence[str], depth: int = DEPTH
) -> Finder:
    """The passages nearest to the question, as the model to be trained places them now; position i
    of ``index`` is the vector of ``passage_ids[i]``."""

    def find(pairs: Sequence[Pair]) -> list[list[str]]:
        found = []
        for vector in encoder.encode([pair.question for pair in pairs]):
            positions, _ = index.search(vector, min(depth, index.size))
            found.append([passage_ids[at] for at in positions.tolist()])
        return found

    return find


def failure_finder(above_gold: Mapping[str, Sequence[str]]) -> Finder:
    """What logged requests ranked above the gold passage, by question id."""
    return lambda pairs: [above_gold.get(pair.question_id, ()) for pair in pairs]
