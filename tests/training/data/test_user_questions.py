"""Questions as users type them: the same under a seed, and with their numbers, nots and names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.training.data.examples import Pair
from ragdiag.training.data.typos import is_protected
from ragdiag.training.data.user_questions import Family, vary_pairs, vary_question
from tests.conftest import TOY_QUESTIONS

QUESTIONS = [
    "What is the boiling point of water at 3.5 bar?",
    "How do I reset the password without losing my session?",
    "Why isn't Paris the largest harbour of France in 1812?",
    "What does numpy.linalg.norm return when axis is not given?",
    "When should {braces} and %s stay as they stand in v2?",
    *(text for text, _, _ in TOY_QUESTIONS.values()),
]
NEGATION = re.compile(r"\b(?:not|no|never|without)\b|n't\b", re.I)
WORD = st.sampled_from(
    [
        *("what", "is", "the", "how", "do", "I", "not", "without", "Paris", "v2", "12", "np.sum"),
        *("boil", "water", "under", "pressure", "causal", "model", "when", "unsafe", "non-zero"),
    ]
)


@pytest.mark.parametrize("family", ["augment", "holdout"])
@given(words=st.lists(WORD, min_size=1, max_size=10), seed=st.integers(0, 9))
def test_numbers_negations_and_names_survive(family: Family, words: list[str], seed: int) -> None:
    text = " ".join(words) + "?"
    kept = sorted(word for word in words if is_protected(word) and word != "I")
    for variant in vary_question(text, family, seed):
        there = sorted(word.strip("?.,:") for word in variant.text.split())
        for word in set(kept):
            assert there.count(word) >= kept.count(word), (variant, word)


@pytest.mark.parametrize("text", QUESTIONS)
def test_no_variant_of_the_holdout_can_train(text: str) -> None:
    trained = {one.text for seed in range(40) for one in vary_question(text, "augment", seed)}
    tried = {one.text for seed in range(40) for one in vary_question(text, "holdout", seed)}
    assert len(trained) > 3
    assert len(tried) > 3
    assert not trained & tried
    assert text not in trained | tried
    for one in trained | tried:
        assert len(NEGATION.findall(one)) >= len(NEGATION.findall(text))


def test_a_seed_decides() -> None:
    def made(seed: int) -> list[str]:
        return [one.text for text in QUESTIONS for one in vary_question(text, "augment", seed)]

    assert made(1) == made(1) != made(2)


def test_each_kind_looks_as_users_type() -> None:
    kinds = {one.kind: one.text for one in vary_question(QUESTIONS[1], "augment", 3)}
    assert kinds["keywords"] == "reset password without losing session"
    assert kinds["paraphrase"] in {
        "what is the way to reset the password without losing my session",
        "how to reset the password without losing my session?",
        "help me to reset the password without losing my session",
    }
    other = {one.kind for one in vary_question(QUESTIONS[1], "holdout", 3)}
    assert other == {"typo", "paraphrase"}, "what is kept and what is lost must not change places"
    assert len(kinds["typo"]) in {len(QUESTIONS[1]), len(QUESTIONS[1]) - 1}


def test_no_typo_makes_another_word() -> None:
    text = "is causal"
    slips = {one.text for seed in range(99) for one in vary_question(text, "holdout", seed)}
    assert "is casual" in slips
    kept = {one.text for s in range(99) for one in vary_question(text, "holdout", s, {"casual"})}
    assert kept == slips - {"is casual"}


def test_variants_keep_their_question_and_its_requests() -> None:
    pair = Pair("q", QUESTIONS[0], "p", request_ids=("r1",))
    other = Pair("q", QUESTIONS[0], "p2")
    found = vary_pairs([pair, other], "augment", per_question=2)
    assert len(found) == 4
    assert [one.question for one in found[:2]] == [one.question for one in found[2:]]
    assert {(one.question_id, one.request_ids) for one in found} == {("q", ("r1",)), ("q", ())}
    assert vary_pairs([Pair("q", "12?", "p")], "augment", per_question=9)[0].question.endswith(
        "12?"
    )
