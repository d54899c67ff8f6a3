"""Sets of several corpora become one, and none is taken for another."""

from __future__ import annotations

from ragdiag.training.data.examples import Pair, TrainingSet, mixed

TEXTS = {"p1": "one", "p2": "two"}
FIRST = TrainingSet([Pair("q1", "Why?", "p1", negatives=("p2",), teacher=(1.0, 0.0))], TEXTS)


def test_ids_that_mean_something_else_are_kept_apart() -> None:
    other = TrainingSet(
        [Pair("q1", "Who?", "p1", negatives=("p3",), weight=0.5)], {"p1": "uno", "p3": "tres"}
    )
    found = mixed([FIRST, other])
    assert found.pairs == [
        FIRST.pairs[0],
        Pair("1:q1", "Who?", "1:p1", negatives=("p3",), weight=0.5),
    ]
    assert found.texts == {**TEXTS, "1:p1": "uno", "p3": "tres"}


def test_sets_of_one_corpus_share_what_they_know() -> None:
    more = TrainingSet([Pair("q1", "Why?", "p2", source="click")], TEXTS)
    found = mixed([FIRST, more])
    assert found.positives == {"q1": frozenset({"p1", "p2"})}
    assert found.texts == TEXTS
