"""ALCE's recall and precision on answers whose support is written down."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ragdiag.metrics.citations import citation_scores


def supported_by(*needs: set[str]) -> object:
    """Sentence n is supported where all of ``needs[n]`` are given."""

    def supports(sentence: int, passages: Sequence[str]) -> bool:
        return needs[sentence] <= set(passages)

    return supports


def test_two_passages_that_only_together_support_a_sentence_are_both_precise() -> None:
    supports = supported_by({"a", "b"})
    assert citation_scores(1, ["a", "b"], supports) == (1, 1)  # type: ignore[arg-type]
    assert citation_scores(1, ["a"], supports) == (0, 0)  # type: ignore[arg-type]


def test_a_passage_that_no_sentence_needs_is_not_precise() -> None:
    supports = supported_by({"a"}, {"z"})
    assert citation_scores(2, ["a", "b", "a"], supports) == (0.5, 0.5)  # type: ignore[arg-type]


def test_without_citations_or_sentences() -> None:
    recall, precision = citation_scores(1, [], supported_by({"a"}))  # type: ignore[arg-type]
    assert recall == 0
    assert math.isnan(precision)
    assert all(map(math.isnan, citation_scores(0, ["a"], supported_by())))  # type: ignore[arg-type]
