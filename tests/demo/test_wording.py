"""Questions read like questions."""

from __future__ import annotations

import pytest

from ragdiag.demo.corpus import Entry
from ragdiag.demo.docstrings import Docstring
from ragdiag.demo.wording import as_instruction, ask_for_parameter, ask_for_summary


def ask(summary: str, name: str = "toys.f") -> str | None:
    return ask_for_summary(Entry(name, "toys", Docstring(summary)), {"a", "inverse"})


@pytest.mark.parametrize(
    ("summary", "phrase"),
    [
        ("Compute the mean.", "compute the mean"),
        ("Computes the mean.", "compute the mean"),
        ("Applies a filter:", "apply a filter"),
        ("Return the mean.", "get the mean"),
        ("Sum of the elements.", "Sum of the elements"),
        ("Inverse of a matrix.", "inverse of a matrix"),
        ("Bessel function.", "Bessel function"),
    ],
)
def test_a_summary_becomes_a_question_about_its_package(summary: str, phrase: str) -> None:
    asked = ask(summary)

    assert asked is not None
    assert phrase in asked
    assert "toys" in asked
    assert asked.endswith("?")


@pytest.mark.parametrize("summary", ["This function is old.", "Deprecated alias.", "word " * 23])
def test_a_summary_that_asks_for_nothing_makes_no_question(summary: str) -> None:
    assert ask(summary) is None


@pytest.mark.parametrize(
    ("word", "verb"),
    [("fits", "fit"), ("pushes", None), ("normalizes", "normalize"), ("copies", "copy")],
)
def test_only_known_verbs_are_instructions(word: str, verb: str | None) -> None:
    assert as_instruction(word) == verb


def test_wordings_vary_with_the_entry_and_only_with_it() -> None:
    entries = [Entry(f"toys.f{n}", "toys", Docstring("Do it.")) for n in range(40)]

    asked = {ask_for_parameter(entry, "x").replace(entry.name, "NAME") for entry in entries}

    assert len(asked) == 3
    assert ask_for_parameter(entries[0], "x") == ask_for_parameter(entries[0], "x")
