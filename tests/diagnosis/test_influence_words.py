"""A finding in words: the important first, citations held against it."""

from __future__ import annotations

from typing import Any

from ragdiag.diagnosis.influence import FAILED
from ragdiag.diagnosis.influence_words import citation_faults, sentences
from ragdiag.records import Estimate


def row(name: str, role: str, *, cited: bool = False, part: str = "") -> dict[str, Any]:
    return {
        "part_id": part or name,
        "passage_id": name,
        "rank": 1,
        "role": role,
        "cited": cited,
        "influence": Estimate(0.5, 0.1, 0.9, 3).to_json(),
    }


def left_out(*rows: dict[str, Any], y: int | None = 1, **more: Any) -> list[str]:
    return sentences({"method": "leave-one-out", "y": y, "parts": list(rows), **more})


def test_what_carried_and_what_misled_comes_first() -> None:
    rows = (row("a", "changed", cited=True), row("b", "misled", cited=True), row("c", "unsure"))
    assert left_out(*rows, y=0, reproduces=False) == [
        "The answer was misled by b: without it the answer turns right.",
        "Without a the answer changes and stays wrong.",
        "The draws do not tell whether c matters.",
        "Asked again, the generator answers otherwise than was logged.",
    ]


def test_citations_are_held_against_influence() -> None:
    told = left_out(row("a", "none", cited=True), row("b", "carried"))
    assert told[1:] == [
        "Cited, but without influence: a.",
        "Influential, but not cited: b.",
    ]
    sentence_by_sentence = [
        row("a", "none", cited=True, part="a#1"),
        row("a", "supports", cited=True, part="a#2"),
        row("b", "none", part="b#1"),
        row("c", "unsure", cited=True),
    ]
    assert citation_faults(sentence_by_sentence) == ([], [])


def test_nothing_found_is_said_with_its_caveat() -> None:
    assert "can hide one another" in left_out(row("a", "none"))[0]
    assert left_out() == ["The generator gave no answer, so no passage can be weighed."]


def test_what_failed_is_told_apart_from_what_the_draws_do_not_tell() -> None:
    failed = {**row("a", "unsure"), "influence": Estimate.undefined(FAILED).to_json()}
    assert left_out(row("b", "none"), failed, row("c", "unsure")) == [
        "The draws do not tell whether c matters.",
        "The generator failed without a: its influence is not known.",
    ]


def test_an_ablation_says_how_far_to_trust_it() -> None:
    found = {
        "method": "ablation",
        "parts": [row("a", "supports"), row("b", "opposes")],
        "strongest": ["a"],
        "drop": Estimate(2.5, float("nan"), float("nan"), 1).to_json(),
        "datamodelling": Estimate(0.75, float("nan"), float("nan"), 32).to_json(),
    }
    assert sentences(found)[:4] == [
        "The model says its answer because of a.",
        "It would say it more readily without b.",
        "Without a the answer's ln p falls by 2.50.",
        "The weights rank 32 contexts that they were not fitted to with a Spearman correlation of "
        "0.75.",
    ]
    unknown = {**found, "parts": [], "datamodelling": Estimate.undefined("too few").to_json()}
    assert sentences(unknown)[-1] == "How far to trust the weights is not known: too few."
