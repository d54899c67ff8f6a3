from __future__ import annotations

from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.reranker.examples import compared

TEXTS = {name: name for name in "pqabcd"}


def test_each_negative_keeps_the_logit_that_is_its_own() -> None:
    """``q`` answers too, and ``a`` is named twice."""
    said = (9.0, 1.0, 8.0, 1.0, 2.0, 3.0, 4.0)
    pairs = [Pair(f"{n}", "Why?", "p", negatives=tuple("aqabcd"), teacher=said) for n in range(8)]
    also = [Pair(f"{n}", "Why?", "q", negatives=("a",), teacher=(7.0, 1.0)) for n in range(8)]
    data = TrainingSet([*pairs, *also], TEXTS)
    kept = compared(data, 3, taught=True)
    assert kept[0].negatives == ("a", "b", "c")
    assert kept[0].teacher == (9.0, 1.0, 2.0, 3.0)
    assert (kept[8].passage_id, kept[8].negatives, kept[8].teacher) == ("q", ("a",), (7.0, 1.0))
    untaught = compared(data, 1, taught=False)
    assert (untaught[0].negatives, untaught[0].teacher) == (("a",), ())
