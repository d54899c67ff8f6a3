"""Numbers as quantities: units, separators, rounding, percentages, ranges, words."""

from __future__ import annotations

import math

import pytest

from ragdiag.metrics.numbers import numeric_match, numeric_score, read_quantities


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("It takes 2 weeks.", "14 days"),
        ("$1,000 in all", "1000"),
        ("1\u202f200 kg", "1.2 tonnes"),
        ("a share of 0.453", "45.3%"),
        ("45 percent", "0.45"),
        ("12.4", "12"),
        ("between 3 and 4 mg", "3–4 mg"),
        ("3.5 mg", "3–4 mg"),
        ("-5 degrees", "−5"),
        ("twenty-seven days", "27 days"),
        ("1.5 million people", "1,500,000"),
        ("1e-5", "0.00001"),
        ("first 7, then 9", "9 and 7"),
        ("$5 million", "$5M"),
        ("5M USD", "$5M"),
        ("$5M", "5M dollars"),
        ("$5k", "5k"),
        ("5 m", "5 metres"),
        ("It cost £5 m.", "5,000,000"),
        ("$3B", "3 billion"),
        ("$3K", "3,000"),
        ("between $3 and 4bn", "€3–4bn"),
        ("5M", "500 cm"),
    ],
)
def test_the_same_quantity(answer: str, gold: str) -> None:
    assert numeric_score(answer, gold) == 1


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("10 mg", "10 g"),
        ("45", "0.45"),
        ("12.6", "12"),
        ("3 to 5", "4"),  # a hedge is not the number
        ("2 to 4 mg", "3–4 mg"),
        ("COVID-19", "19"),
        ("v1.2.3", "2"),
        ("5 metres", "$5M"),
        ("500 cm", "$5M"),
        ("$5", "$5M"),
        ("$5 t-shirts", "$5T"),
        ("5", "-5"),
        ("", "7"),
    ],
)
def test_another_quantity(answer: str, gold: str) -> None:
    assert numeric_score(answer, gold) == 0


def test_each_number_of_the_gold_answer_counts_and_the_best_gold_answer_holds() -> None:
    assert numeric_score("7 mg", "7 mg in 3 hours") == 0.5
    assert numeric_match("7 mg", ["8 mg", "none", "7 mg"]) == 1


@pytest.mark.parametrize("text", ["7e4521ab", "commit 7e4521", "1e400", "5e930-aa"])
def test_what_only_looks_like_a_power_of_ten(text: str) -> None:
    assert all(one.step == 1 for one in read_quantities(text))


def test_a_long_text_is_read_in_time() -> None:
    # In time that grows with the square it would take minutes.
    assert len(read_quantities("3 and 4, " * 50_000)) == 100_000


@pytest.mark.parametrize("text", ["ſix hours", "nıne", "sİx"])
def test_a_word_is_a_number_in_its_own_letters_alone(text: str) -> None:
    assert read_quantities(text) == []


def test_a_power_of_ten_is_read() -> None:
    assert numeric_score("1.2e3", "1200") == 1.0


def test_without_a_number_in_the_gold_answer_it_is_undefined() -> None:
    assert math.isnan(numeric_score("7", "a great many"))
    assert math.isnan(numeric_match("7", ["many", "few"]))
    assert math.isnan(numeric_match("7", []))
