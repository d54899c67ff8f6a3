from __future__ import annotations

from ragdiag.store.relevance import ranked_grades


def test_unjudged_hits_are_0() -> None:
    assert ranked_grades(["a", "b"], {}) == [0, 0]


def test_a_passage_counts_once() -> None:
    assert ranked_grades(["a", "b", "a", "b"], {"a": 1, "b": 3}) == [1, 3, 0, 0]


def test_grades_fit_one_byte() -> None:
    assert ranked_grades(["a", "b"], {"a": 300, "b": -2}) == [255, 0]
