"""What is missed by searching only the shards that are nearest to a question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ragdiag.retrieval.ann.index import Effort, Positions, VectorIndex, Vectors


def routing_recall(
    index: VectorIndex,
    questions: Vectors,
    *,
    depth: int,
    shards: Sequence[int],
    effort: Effort,
    themselves: Positions | None = None,
) -> dict[int, float]:
    """Of the ``depth`` that searching every shard finds, the share that searching so many of the
    nearest ``shards`` finds too: the mean over ``questions`` (q, d), by number of shards.

    Where the questions are passages of the index, ``themselves`` (q,) are their positions, which
    do not count: a passage always finds itself.
    """
    wholes = list(_found(index, questions, depth, replace(effort, shards=None), themselves))
    recall = {}
    for most in shards:
        routed = _found(index, questions, depth, replace(effort, shards=most), themselves)
        shares = [
            len(whole & part) / len(whole)
            for whole, part in zip(wholes, routed, strict=True)
            if whole
        ]
        recall[most] = float(np.mean(shares)) if shares else float("nan")
    return recall


def _found(
    index: VectorIndex, questions: Vectors, depth: int, effort: Effort, left_out: Positions | None
) -> Iterator[set[int]]:
    for number, question in enumerate(questions):
        positions, _ = index.search(question, depth + (left_out is not None), effort=effort)
        if left_out is not None:
            positions = positions[positions != left_out[number]]
        yield set(positions[:depth].tolist())
