"""Which differences in wording make another question."""

from __future__ import annotations

import pytest

from ragdiag.caching.wording import decisive_words, essential_words, normalise


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I reset my password?", "how can we reset our passwords"),
        ("Can you tell us why we won't be paid?", "could you tell me why I will not be paid"),
        ("What is the advantage of the vaccine?", "What are advantages of vaccines?"),
        ("What's a lockdown?", "What is lockdown"),
        ("Who'll get an 8-hour shift?", "Who will get 8-hour shifts"),
    ],
)
def test_the_same_question_in_other_words(one: str, other: str) -> None:
    assert essential_words(one) == essential_words(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Which drugs are safe?", "Which drugs are not safe?"),
        ("Which drugs are safe?", "Which drugs aren't safe?"),
        ("When was SARS-CoV found?", "When was SARS-CoV-2 found?"),
        ("What is -5 squared?", "What is 5 squared?"),
        ("What is C++?", "What is C#?"),
        ("Is it safe with milk?", "Is it safe without milk?"),
    ],
)
def test_numbers_negations_and_signs_always_count(one: str, other: str) -> None:
    assert decisive_words(one) != decisive_words(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Does it increase the risk?", "Does it decrease the risk?"),
        ("Can I eat before surgery?", "Can I eat after surgery?"),
        ("Who is the president?", "Who was the president?"),
        ("May the landlord sue the tenant?", "May the tenant sue the landlord?"),
        ("What is the maximum dose?", "What is the minimum dose?"),
        ("Can you terminate my contract?", "Can I terminate your contract?"),
        ("When will you pay me?", "When will I pay you?"),
        ("What data do you share with us?", "What data do we share with you?"),
        ("Is my data safe?", "Is your data safe?"),
        ("How do I get a refund?", "How will I get a refund?"),
        ("Is one dose enough?", "Is a dose enough?"),
        ("How is hepatitis A treated?", "How is hepatitis treated?"),
        ("Is blood group a of use?", "Is blood group of use?"),
        ("What is vitamin a?", "What is a vitamin?"),
        ("Which rules apply to US employees?", "Which rules apply to our employees?"),
        ("Which rules apply to US employees?", "Which rules apply to employees?"),
    ],
)
def test_what_a_cosine_does_not_see(one: str, other: str) -> None:
    assert essential_words(one) != essential_words(other)


def test_typing_makes_no_other_question() -> None:
    assert normalise(" What\u00a0is  TEA ?") == normalise("what is tea")
    assert normalise("the operator ??") != normalise("the operator ?")
    assert normalise("?") == "?"
