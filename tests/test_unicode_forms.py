"""Forms of Unicode, in time that grows with the text."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from ragdiag.unicode_forms import combining_marks, normal_form

MARKS = st.text(st.sampled_from("a\u0301\u0323é한\u1161ﬁ₂"), max_size=25)


@given(MARKS)
def test_a_form_is_pythons(text: str) -> None:
    assert normal_form("NFC", text) == unicodedata.normalize("NFC", text)
    assert normal_form("NFKC", text) == unicodedata.normalize("NFKC", text)


def test_a_hostile_run_of_marks_is_cut_and_not_sorted() -> None:
    # Sorted, it would take minutes.
    text = "a" + "\u0315\u0300" * 200_000 + "b"
    assert normal_form("NFKC", text) == unicodedata.normalize("NFKC", text[:31] + "b")
    assert normal_form("NFC", "a" * 5 + "\u0301") == "aaaaá"


def test_marks_are_what_follows_a_letter() -> None:
    assert {"\u0301", "\u093e"} <= combining_marks()
    assert combining_marks().isdisjoint("aé한")
