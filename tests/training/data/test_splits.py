"""Parts that share nothing, whatever the pairs; and the check that would notice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.errors import TrainingError
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.data.leaks import check_leaks
from ragdiag.training.data.splits import Split, SplitOptions, split_pairs
from tests.training.mining import MONDAY

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def question(n: int) -> str:
    return f"Who has seen the {LETTERS[n % 26] * 3} {LETTERS[n * 7 % 26] * 4} item {n}?"


def text(n: int) -> str:
    return " ".join(f"{LETTERS[n % 26]}{n}w{at}" for at in range(12))


PAIRS = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 30)), min_size=1, max_size=40)
DOCUMENTS = {f"p{n}": f"d{n // 3}" for n in range(31)}
TEXTS = {f"p{n}": text(n) for n in range(31)} | {"p30": text(0) + " more"}


def made(drawn: list[tuple[int, int]]) -> list[Pair]:
    named = dict.fromkeys(drawn)
    return [Pair(f"q{asks}", question(asks), f"p{gold}") for asks, gold in named]


@given(PAIRS, st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_no_part_shares_anything_with_training_and_nothing_is_lost(
    drawn: list[tuple[int, int]], seed: int
) -> None:
    pairs = made(drawn)
    asked_at = {f"q{n}": MONDAY + timedelta(days=n) for n in range(0, 26, 2)}
    options = SplitOptions(dev=0.3, temporal=0.2, seed=seed)
    try:
        found = split_pairs(pairs, TEXTS, DOCUMENTS, asked_at, options)
    except TrainingError:  # too much hangs together, which another test looks at
        return
    assert found == split_pairs(pairs, TEXTS, DOCUMENTS, asked_at, options)
    parts = (found.train, found.dev, found.temporal, found.purged)
    assert sorted(p.question_id + p.passage_id for part in parts for p in part) == sorted(
        p.question_id + p.passage_id for p in pairs
    )
    for part in (found.dev, found.temporal):
        check_leaks(TrainingSet(found.train, TEXTS), TrainingSet(part, TEXTS))
    check_leaks(TrainingSet(found.dev, TEXTS), TrainingSet(found.temporal, TEXTS))
    documents = {DOCUMENTS[pair.passage_id] for pair in found.dev}
    assert found.by == "passage" or not documents & {
        DOCUMENTS[pair.passage_id] for pair in found.train
    }
    if found.cut:
        assert all(asked_at[pair.question_id] >= found.cut for pair in found.temporal)
        before = [*found.train, *found.dev]
        assert all(asked_at.get(pair.question_id, MONDAY) < found.cut for pair in before)


def test_there_is_no_holdout_of_failures_alone_or_of_few_questions() -> None:
    pairs, asked_at = hundred(), {f"q{n}": MONDAY + timedelta(days=n) for n in range(50)}
    assert split_pairs(pairs, texts(), {}, asked_at).temporal
    del asked_at["q7"]
    few = split_pairs(pairs, texts(), {}, asked_at)
    assert (few.temporal, few.cut) == ((), None)
    assert few.no_holdout == "users asked 49 of 100 questions, fewer than half"
    failed = [replace(pair, source="failure") for pair in pairs[:50]]
    found = split_pairs(failed, texts(), {}, asked_at)
    assert (found.temporal, len(found.train) + len(found.dev)) == ((), 50)
    assert "retrieval failed on every question" in found.no_holdout
    assert split_pairs([*failed, *pairs[50:]], texts(), {}, asked_at | {"q60": MONDAY}).temporal


def hundred() -> list[Pair]:
    return [Pair(f"q{n}", question(n), f"s{n}") for n in range(100)]


def texts() -> dict[str, str]:
    return {f"s{n}": text(n) for n in range(100)}


def split(seed: int = 0, *, dated: bool = True) -> Split:
    asked_at = {f"q{n}": MONDAY + timedelta(days=n) for n in range(100)} if dated else {}
    return split_pairs(hundred(), texts(), {}, asked_at, SplitOptions(seed=seed))


def test_shares_are_kept_where_nothing_ties_pairs_together() -> None:
    found = split()
    assert len(found.temporal) == 15
    assert found.cut == MONDAY + timedelta(days=85)
    assert len(found.dev) == 12
    assert len(found.train) == 73
    assert split(1).dev != found.dev
    undated = split(dated=False)
    assert (undated.temporal, undated.cut, len(undated.dev)) == ((), None, 15)


def test_what_shares_a_passage_across_time_is_left_out_on_the_smaller_side() -> None:
    asked_at = {f"q{n}": MONDAY + timedelta(days=n) for n in range(100)}
    shared = [
        replace(pair, passage_id="s3") if n == 99 else pair for n, pair in enumerate(hundred())
    ]
    found = split_pairs(shared, texts(), {"s3": "d", "s5": "d", "s98": "d"}, asked_at)
    assert [pair.question_id for pair in found.purged] == ["q3"]
    assert len(found.temporal) == 15, "later questions may be about a known document"
    popular = [
        replace(pair, passage_id="s3") if n % 3 == 0 else pair for n, pair in enumerate(shared)
    ]
    found = split_pairs(popular, texts(), {}, asked_at)
    assert [pair.question_id for pair in found.purged] == ["q87", "q90", "q93", "q96", "q99"]
    assert len(found.temporal) == 10
    assert len(found.train) + len(found.dev) == 85


def test_documents_that_tie_everything_together_give_way_and_passages_do_not() -> None:
    found = split_pairs(hundred(), texts(), dict.fromkeys(texts(), "d"))
    assert (found.by, len(found.dev)) == ("passage", 15)
    check_leaks(TrainingSet(found.train, texts()), TrainingSet(found.dev, texts()))
    assert split().by == "document"
    tied = [replace(pair, passage_id="s0") for pair in hundred()]
    with pytest.raises(TrainingError, match=r"100 questions cannot be split: all of them hang"):
        split_pairs(tied, texts(), {})


def test_weak_questions_neither_choose_nor_hold_out_where_people_answered_enough() -> None:
    pairs = [replace(p, source="bm25") if n % 2 else p for n, p in enumerate(hundred())]
    asked_at = {f"q{n}": MONDAY + timedelta(days=n) for n in range(100)}
    found = split_pairs(pairs, texts(), {"s3": "d", "s4": "d"}, asked_at)
    assert {pair.source for pair in (*found.dev, *found.temporal)} == {"judgment"}
    assert {pair.source for pair in found.purged} == {"bm25"}
    assert len(found.dev) == 6
    few = [replace(pair, source="bm25") for pair in pairs]
    assert len(split_pairs(few, texts(), {}).dev) == 15


GOOD = Pair("q1", "How hot is the water for the tea?", "tea")
HELD = {"tea": "Eighty degrees, and the pot is warm.", "pot": "Made of clay and fired for a day."}


def weak(question: str, passage_id: str) -> Pair:
    return Pair("weak", question, passage_id, "generated")


@pytest.mark.parametrize(
    ("train", "other", "found"),
    [
        (GOOD, Pair("q2", "how hot is the watr for the tea", "pot"), "training has the question"),
        (GOOD, Pair("q1", "What is fired?", "pot"), "the question q1 is in training too"),
        (GOOD, Pair("q2", "What is warm?", "tea"), "the gold passage tea is in training too"),
        (GOOD, Pair("q2", "What is warm?", "copy"), "the gold passage copy nearly is tea"),
        (GOOD, weak("made of clay", "pot"), "the passage pot holds its own question"),
        (weak("the pot is warm", "tea"), GOOD, "the passage tea holds its own question"),
    ],
)
def test_a_leak_is_told_with_an_example(train: Pair, other: Pair, found: str) -> None:
    texts = {**HELD, "copy": "eighty degrees and the pot is warm"}
    with pytest.raises(TrainingError, match=found):
        check_leaks(TrainingSet([train], texts), TrainingSet([other], texts))


def test_other_numbers_are_other_questions() -> None:
    other = Pair("q2", "How hot is the water for tea 2?", "pot")
    check_leaks(TrainingSet([GOOD], HELD), TrainingSet([other], HELD))
