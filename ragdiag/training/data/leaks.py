"""The check that nothing was seen in training that is asked afterwards; it trusts no splitter."""

from __future__ import annotations

from collections.abc import Sequence

from ragdiag.errors import TrainingError
from ragdiag.training.data.examples import Pair, Source, TrainingSet
from ragdiag.training.data.similarity import (
    DUPLICATE_PASSAGE,
    DUPLICATE_QUESTION,
    NearDuplicates,
    contains_question,
    passage_shingles,
    question_shingles,
)

WEAK: tuple[Source, ...] = ("title", "generated")
"""Sources whose questions were made from the very passage."""

_SHOWN = 80


def check_leaks(train: TrainingSet, other: TrainingSet) -> None:
    """Raises TrainingError with an example where ``other`` asks what ``train`` asks, in the same or
    nearly the same words, where a gold passage of one is (nearly) one of the other, and where a
    weak pair of either has its question in its text."""
    for one in (train, other):
        _check_weak(one)
    _check_questions(train.pairs, other.pairs)
    _check_passages(train, other)


def holds_its_question(pair: Pair, text: str) -> bool:
    """Whether it is a weak pair whose question stands in ``text``, its passage's."""
    return pair.source in WEAK and contains_question(text, pair.question)


def _check_weak(held: TrainingSet) -> None:
    for pair in held.pairs:
        if holds_its_question(pair, held.texts[pair.passage_id]):
            raise _leak(
                f"the passage {pair.passage_id} holds its own question {_cut(pair.question)}"
            )


def _check_questions(train: Sequence[Pair], other: Sequence[Pair]) -> None:
    seen = NearDuplicates(
        {pair.question: question_shingles(pair.question) for pair in train}, DUPLICATE_QUESTION
    )
    ids = {pair.question_id for pair in train}
    for pair in other:
        same = next(seen.of(question_shingles(pair.question)), None)
        if same is not None:
            raise _leak(
                f"training has the question {_cut(same)}, and so {_cut(pair.question)} leaks"
            )
        if pair.question_id in ids:
            raise _leak(f"the question {pair.question_id} is in training too")


def _check_passages(train: TrainingSet, other: TrainingSet) -> None:
    golds = {pair.passage_id for pair in train.pairs}
    seen = NearDuplicates(
        {name: passage_shingles(train.texts[name]) for name in golds}, DUPLICATE_PASSAGE
    )
    for name in sorted({pair.passage_id for pair in other.pairs}):
        if name in golds:
            raise _leak(f"the gold passage {name} is in training too")
        same = next(seen.of(passage_shingles(other.texts[name])), None)
        if same is not None:
            raise _leak(f"the gold passage {name} nearly is {same}, which is in training")


def _cut(question: str) -> str:
    return repr(question if len(question) <= _SHOWN else question[: _SHOWN - 1] + "…")


def _leak(what: str) -> TrainingError:
    return TrainingError(what, remedy="split the pairs by document and question again")
