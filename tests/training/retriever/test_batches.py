"""Which passages of a batch a question is held against: never one that answers it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.retriever.batches import Layout

TEXTS = {"p1": "one", "p2": "two", "p3": "three", "p4": "four", "twin": "one"}
PAIRS = [
    Pair("q1", "first?", "p1", negatives=("p3", "p4"), weight=2.0),
    Pair("q1", "first?", "p2", negatives=("p1", "p4")),
    Pair("q2", "second?", "p3"),
    Pair("q3", "first?", "p4"),
]
DATA = TrainingSet(PAIRS, TEXTS)


def test_each_text_of_a_batch_is_there_once() -> None:
    layout = Layout(PAIRS, DATA, negatives=2)
    batch = layout.batch([0, 2, 3])
    assert [layout.questions[at] for at in batch.questions] == ["first?", "second?"]
    assert batch.rows == [0, 1, 0]
    assert [layout.passages[at] for at in batch.passages] == ["one", "three", "four"]
    assert batch.weights == [2.0, 1.0, 1.0]


def test_a_passage_that_answers_is_no_negative_whoever_brought_it() -> None:
    layout = Layout(PAIRS, DATA, negatives=2)
    batch = layout.batch([0, 1, 2, 3])
    named = [layout.passages[at] for at in batch.passages]
    # q3 asks what q1 asks, so the answer to either answers both
    answers = {"first?": {"one", "two", "four"}, "second?": {"three"}}
    for row, pair in enumerate(PAIRS):
        expected = answers[pair.question] - {TEXTS[pair.passage_id]}
        assert {named[column] for at, column in batch.known if at == row} == expected
    assert batch.candidates[0] == [named.index("one"), named.index("three")]
    assert batch.candidates[1] == [named.index("two"), -1], "both of its negatives answer it"


def test_passages_of_one_text_are_one() -> None:
    pairs = [PAIRS[2], replace(PAIRS[0], negatives=("twin", "p3"))]
    layout = Layout(pairs, TrainingSet(pairs, TEXTS), negatives=2)
    batch = layout.batch([0, 1])
    assert [layout.passages[at] for at in batch.passages] == ["three", "one"]
    assert batch.candidates == [[0, -1], [1, 0]]


@pytest.mark.parametrize(("negatives", "bare"), [(0, 4), (1, 2), (9, 2)])
def test_the_hardest_negatives_are_used(negatives: int, bare: int) -> None:
    pairs = [replace(PAIRS[0], question="alone?", question_id="q9"), *PAIRS[1:]]
    pairs[1] = replace(pairs[1], negatives=("p3",))
    layout = Layout(pairs, TrainingSet(pairs, TEXTS), negatives=negatives)
    assert layout.without_negatives() == bare
    assert len(layout.batch([0]).candidates[0]) == 1 + min(2, negatives)


def test_the_teachers_scores_follow_their_passages() -> None:
    pairs = [
        replace(PAIRS[1], teacher=(9.0, 8.0, 7.0), negatives=("p1", "p3")),
        replace(PAIRS[2], teacher=(5.0,)),
        PAIRS[0],
    ]
    pairs[2] = replace(pairs[2], teacher=(1.0, 2.0, 3.0))
    batch = Layout(pairs, TrainingSet(pairs, TEXTS), negatives=1).batch([0, 1])
    assert batch.teacher == [[9.0, 7.0], [5.0, 0.0]], "p1 answers q1, so p3 is its first negative"


def test_what_is_held_against_everybody_is_in_every_batch() -> None:
    layout = Layout(PAIRS, DATA, negatives=2, everywhere=["five", "two"])
    assert sorted(layout.passages) == ["five", "four", "one", "three", "two"]
    batch = layout.batch([3])
    named = [layout.passages[at] for at in batch.passages]
    assert named == layout.passages
    assert named[batch.candidates[0][0]] == "four"
    assert {named[column] for _, column in batch.known} == {"one", "two"}, "q1 asks the same"
