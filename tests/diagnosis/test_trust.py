"""The worth of verdicts, counted by hand."""

from __future__ import annotations

from ragdiag.diagnosis.trust import Told, trust
from ragdiag.stats.intervals import wilson

TOLD = [
    Told("cut", "packing", "A", "packing"),
    Told("cut", "packing", "A", "undetermined"),
    Told("swap", "label_suspect", "A", "packing"),
    Told("swap", "label_suspect", "B", "label_suspect"),
]


def test_an_abstention_is_neither_right_nor_wrong_and_is_counted() -> None:
    found = trust(TOLD, "A")
    assert found.part.right == wilson(1, 3)
    assert found.part.right_when_decided == wilson(1, 2)
    assert found.part.abstained == wilson(1, 3)
    assert found.by_verdict == {"packing": wilson(1, 2)}
    assert found.matrix == {"cut": {"packing": 1, "undetermined": 1}, "swap": {"packing": 1}}


def test_tiers_are_counted_apart_and_none_is_undefined() -> None:
    assert trust(TOLD, "B").part.right == wilson(1, 1)
    assert trust(TOLD, "D").part.right.reason == "no rows"
    assert trust(TOLD, "D").to_json()["right"]["value"] is None


def test_the_side_is_counted_over_the_faults_that_have_one() -> None:
    told = [
        Told("echo", "distraction", "B", "undetermined", "generator"),
        Told("cut", "packing", "B", "packing", "retrieval"),
        Told("blind", "retrieval", "B", "undetermined", None),
        Told("wrong", "generator", "B", "retrieval", "retrieval"),
        Told("swap", "label_suspect", "B", "retrieval", "retrieval"),
    ]
    found = trust(told, "B").side
    assert found.right == wilson(2, 4)
    assert found.right_when_decided == wilson(2, 3)
    assert found.abstained == wilson(1, 4)
    assert trust(told, "B").to_json()["side"]["right"]["n"] == 4
