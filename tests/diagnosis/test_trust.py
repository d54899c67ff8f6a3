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
    assert found.right == wilson(1, 3)
    assert found.right_when_decided == wilson(1, 2)
    assert found.abstained == wilson(1, 3)
    assert found.by_verdict == {"packing": wilson(1, 2)}
    assert found.matrix == {"cut": {"packing": 1, "undetermined": 1}, "swap": {"packing": 1}}


def test_tiers_are_counted_apart_and_none_is_undefined() -> None:
    assert trust(TOLD, "B").right == wilson(1, 1)
    assert trust(TOLD, "D").right.reason == "no rows"
    assert trust(TOLD, "D").to_json()["right"]["value"] is None
