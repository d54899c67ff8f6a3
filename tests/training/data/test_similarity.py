"""Texts that say the same: the fast search is pinned to comparing all with all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.training.data.similarity import (
    DUPLICATE_PASSAGE,
    DUPLICATE_QUESTION,
    NearDuplicates,
    contains_question,
    jaccard,
    passage_shingles,
    question_shingles,
)

LETTERS = st.frozensets(st.sampled_from("abcdefghij"), max_size=8)


@given(st.lists(LETTERS, max_size=12), LETTERS, st.sampled_from([0.5, 0.8, 0.9]))
def test_it_finds_what_comparing_with_all_finds(
    texts: list[frozenset[str]], asked: frozenset[str], threshold: float
) -> None:
    named = {str(at): text for at, text in enumerate(texts)}
    found = set(NearDuplicates(named, threshold).of(asked))
    assert found == {name for name, text in named.items() if jaccard(asked, text) >= threshold}


WAIT = "What is the longest wait before version {} answers the operator again?"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("How do I reset a password of the account?", "how do i reset a pasword of the account", 1),
        ("How is item 12 set?", "How is item 13 set?", 0),
        (WAIT.format("3.1"), WAIT.format("3.2"), 0),
        ("What is tea?", "What is coffee?", 0),
    ],
)
def test_questions_are_the_same_but_for_a_slip_and_never_with_other_numbers(
    one: str, other: str, same: int
) -> None:
    alike = jaccard(question_shingles(one), question_shingles(other))
    assert (alike >= DUPLICATE_QUESTION) == bool(same)


def test_a_passage_with_one_word_changed_is_a_near_duplicate() -> None:
    text = " ".join(f"word{n}" for n in range(60))
    changed = text.replace("word30", "other")
    assert jaccard(passage_shingles(text), passage_shingles(changed)) >= DUPLICATE_PASSAGE
    assert jaccard(passage_shingles("short one"), passage_shingles("Short one.")) == 1.0
    assert passage_shingles("?!") == frozenset()


def test_a_question_is_found_in_a_text_only_as_whole_words_together() -> None:
    assert not contains_question("Preset of a password", "reset of a password")
    assert not contains_question("reset of the password", "reset of a password")
    assert not contains_question("anything", "?")
