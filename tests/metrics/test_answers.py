from __future__ import annotations

import math
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.metrics.answers import (
    contains_answer,
    exact_match,
    grade_answer,
    normalise_answer,
    token_f1,
)
from ragdiag.records import DEFAULT_GRADER, Status


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The cat's  HAT.", "cats hat"),
        ("a an the", ""),
        ("theatre anthem", "theatre anthem"),
        ("1,024 (bytes)", "1024 bytes"),
        ("", ""),
        ("GRÖßE", "grösse"),
    ],
)
def test_normalisation_is_squads(text: str, normal: str) -> None:
    assert normalise_answer(text) == normal


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("3.14.", "3.14"),
        ("(-.5)", "-.5"),
        ("−5 °C", "-5 °c"),
        ("10–20, SARS-CoV-2", "1020 sarscov2"),
        ("v1.5, end.5", "v1.5 end5"),
        ("24.12.2020 and 3.11.2", "24122020 and 3112"),
        ("Options:\n-5\n- 6", "options 5 6"),
        ("wait ...5", "wait 5"),
        ("10⁵, 10⁻⁵, 10^-5, m², H₂O", "10^5 10^-5 10^-5 m^2 h2o"),
        ("10月-12月", "10 月 12 月"),
        ("-.-", ""),
    ],
)
def test_a_sign_and_a_decimal_point_are_part_of_a_number(text: str, normal: str) -> None:
    assert normalise_answer(text) == normal


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("“Paris”…", '"Paris"'),
        ("x’s", "x's"),
        ("cafe\u0301", "café"),
        ("STRASSE", "Straße"),
        ("CO₂", "CO2"),
        ("１２３", "123"),
        ("co\u00adop\u200b", "coop"),
        ("€5", "$5"),
        ("«Да»", "да"),
    ],
)
def test_a_text_that_unicode_writes_in_several_ways_is_one(text: str, same: str) -> None:
    assert normalise_answer(text) == normalise_answer(same)


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("それは東京にある。", "東京", 1),
        ("1958年に完成した", "1958", 1),
        ("กรุงเทพเป็นเมืองหลวง", "กรุงเทพ", 1),
        ("大阪にある", "東京", 0),
        ("서울입니다", "서울", 0),  # Korean puts spaces between words
        ("It was -5.", "5", 0),
        ("about 10⁵ cells", "10⁻⁵", 0),
        ("10² of them", "102", 0),
        ("1.5", "15", 0),
        ("''", "A", 0),
        ("A.", "a", 1),
        ("!=", "==", 0),
        ("!=", "!=", 1),
    ],
)
def test_what_ascii_alone_cannot_tell(answer: str, gold: str, right: int) -> None:
    assert grade_answer("r", answer, "ok", [gold]).y == right


@given(st.text())
def test_a_normal_form_is_its_own(text: str) -> None:
    normal = normalise_answer(text)
    assert normalise_answer(normal) == normal
    if text.isascii() and not any(one.isdigit() for one in text):
        assert normal == squad(text)


def squad(text: str) -> str:
    """What SQuAD's script does."""
    words = "".join(one for one in text.lower() if one not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", words).split())


def test_the_best_gold_answer_counts() -> None:
    golds = ["blue whale", "whale"]
    assert exact_match("The whale!", golds) == 1.0
    assert token_f1("a big whale", golds) == pytest.approx(2 / 3)
    assert contains_answer("it is a big whale", golds) == 1.0


def test_repeated_tokens_are_counted_once_each() -> None:
    assert token_f1("no no no", ["no"]) == pytest.approx(2 * 1 / (3 + 1))


@pytest.mark.parametrize(
    ("answer", "gold", "f1"), [("", "", 1.0), ("the", "", 0.0), ("", "x", 0.0), ("x", "the", 0.0)]
)
def test_f1_of_texts_without_tokens(answer: str, gold: str, f1: float) -> None:
    assert token_f1(answer, [gold]) == f1


def test_containment_is_by_whole_tokens_and_never_of_nothing() -> None:
    assert contains_answer("in 1889", ["188"]) == 0.0
    assert contains_answer("anything", ["the"]) == 0.0
    assert contains_answer("", ["x"]) == 0.0


def test_without_gold_answers_every_metric_is_undefined() -> None:
    assert all(math.isnan(f("x", [])) for f in (exact_match, token_f1, contains_answer))


@pytest.mark.parametrize(
    ("answer", "status", "y"),
    [
        ("The tower opened in 1889.", "ok", 1),
        ("tower opened later", "ok", 0),
        ("", "ok", 0),
        ("1889", "no_answer", 0),
        ("", "error", 0),
    ],
)
def test_the_default_grade(answer: str, status: Status, y: int) -> None:
    grade = grade_answer("r", answer, status, ["1889", "year 1889"])
    assert (grade.request_id, grade.grader, grade.y, grade.status) == ("r", DEFAULT_GRADER, y, "ok")
    assert grade.score == token_f1(answer, ["1889", "year 1889"])
    assert grade.reason


def test_the_threshold_decides_and_is_named() -> None:
    assert grade_answer("r", "x y z", "ok", ["y z w"]).y == 1
    strict = grade_answer("r", "x y z", "ok", ["y z w"], threshold=0.9)
    assert (strict.y, strict.reason) == (0, "token F1 0.67 < 0.9")


@pytest.mark.parametrize("golds", [None, []])
def test_without_gold_the_grade_is_unknown(golds: list[str] | None) -> None:
    grade = grade_answer("r", "x", "ok", golds)
    assert (grade.y, grade.score, grade.status) == (None, None, "no_gold")
