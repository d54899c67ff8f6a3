"""Entries and their passages, from docstrings made for the test."""

from __future__ import annotations

from collections import Counter

import pytest

from ragdiag.demo.corpus import REPEATED, Entry, entry_passages, make_entries, sample_entries
from ragdiag.demo.docstrings import Docstring, Field
from ragdiag.demo.objects import DocumentedObject
from ragdiag.retrieval.text import load_tokenizer

MEAN = """Compute the mean of numbers.

Adds all of them up and divides the sum by how many there are. Compute the mean of numbers. Fast.

Parameters
----------
values : list
    What is averaged, in any order and of any length.
out : array
    Where it is stored.

Returns
-------
float
    The average of the values.

See Also
--------
median, mode
"""


def documented(name: str, text: str, topic: str = "toys") -> DocumentedObject:
    return DocumentedObject(name, topic, text)


def test_an_entry_says_everything_but_its_summary() -> None:
    (entry,) = make_entries([documented("toys.mean", MEAN)])

    assert entry.docstring.summary == "Compute the mean of numbers."
    assert entry.text.split("\n\n") == [
        "toys.mean: Adds all of them up and divides the sum by how many there are. Fast.",
        "Parameter values of mean (list): What is averaged, in any order and of any length.",
        "Parameter out of mean (array): Where it is stored.",
        "Return value of mean (float): The average of the values.",
        "See also, related to mean: median, mode.",
    ]


def test_the_full_name_stands_once_where_the_entry_begins() -> None:
    fields = (Field("x", "int", ("First.",)), Field("y", "int", ("Second.",)))
    entry = Entry("toys.f", "toys", Docstring("Do it.", parameters=fields))

    assert entry.text == "Parameter x of toys.f (int): First.\n\nParameter y of f (int): Second."


def test_one_text_under_several_names_is_one_entry() -> None:
    entries = make_entries(
        [
            documented("toys.mean", MEAN),
            documented("toys.average", MEAN),
            documented("plays.mean", MEAN.replace("mean of numbers", "mean  of 3 numbers")),
            documented("toys.median", MEAN.replace("mean of numbers", "median of numbers")),
        ]
    )

    assert [entry.name for entry in entries] == ["toys.mean", "toys.median"]


def test_the_same_body_with_another_summary_is_kept_until_it_is_boilerplate() -> None:
    body = MEAN.partition("\n")[2]
    few = [documented(f"toys.{n}", f"Compute statistic {n} now.{body}") for n in "ab"]
    many = [documented(f"toys.f{n}", f"Statistic of {'x' * (n + 1)} now.{body}") for n in range(6)]

    assert len(make_entries(few)) == 2
    assert len(many) == REPEATED
    assert make_entries(many) == []


def test_a_parameter_that_many_entries_describe_alike_is_left_out() -> None:
    entries = make_entries(
        documented(f"toys.f{n}", MEAN.replace("What is averaged", f"Lists of {word} averaged"))
        for n, word in enumerate(("reds", "greens", "blues", "blacks", "whites", "greys"))
    )
    kept = [[field.name for field in entry.docstring.parameters] for entry in entries]

    assert kept == [["values"]] * REPEATED


@pytest.mark.parametrize(
    "text",
    ["Compute the mean of numbers.\n\nToo short.", "Mean.\n\n" + "word " * 40, ""],
    ids=["no body", "no real summary", "nothing"],
)
def test_what_says_too_little_is_no_entry(text: str) -> None:
    assert make_entries([documented("toys.mean", text)]) == []


def test_a_sample_keeps_the_shares_of_the_topics_and_the_order() -> None:
    entries = [
        Entry(f"{topic}.f{number:02}", topic, Docstring("Do it."))
        for topic, size in (("large", 60), ("small", 20))
        for number in range(size)
    ]

    sampled = sample_entries(entries, 20)

    assert Counter(entry.topic for entry in sampled) == {"large": 15, "small": 5}
    assert [e.name for e in sampled] == sorted(e.name for e in sampled)
    assert sampled == sample_entries(entries, 20)
    assert sample_entries(entries, 1000) == entries


def test_passages_carry_the_name_as_document_and_title() -> None:
    (entry,) = make_entries([documented("toys.mean", MEAN)])

    passages = entry_passages(entry, load_tokenizer())

    assert [p.passage_id for p in passages] == ["toys.mean#0"]
    assert {(p.document_id, p.title) for p in passages} == {("toys.mean", "toys.mean")}
    assert passages[0].text == entry.text
