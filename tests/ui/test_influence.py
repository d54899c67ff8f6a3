"""Influence as bars: of both methods, and where no gold answer tells what is right."""

from __future__ import annotations

from typing import Any

import pytest

from ragdiag.diagnosis.influence import FAILED
from ragdiag.records import Estimate
from ragdiag.ui.influence import bars


def row(name: str, influence: Estimate, role: str, f1: float | None = None) -> dict[str, Any]:
    return {
        "part_id": name,
        "passage_id": name,
        "rank": 1,
        "influence": influence.to_json(),
        "role": role,
        "cited": False,
        "answer_f1": f1,
    }


def test_weights_have_their_intervals() -> None:
    found = {"method": "ablation", "parts": [row("<b>", Estimate(2.0, 1.0, 4.0, 64), "supports")]}
    figure, axis = bars(found)
    assert axis == "log-odds that the passage adds to the answer"
    assert figure.data[0].y == ("1  &lt;b&gt;: speaks for the answer",)
    assert (figure.data[0].error_x.array[0], figure.data[0].error_x.arrayminus[0]) == (2.0, 1.0)


def test_what_a_generator_repeats_has_no_interval() -> None:
    parts = [row("a", Estimate(1.0, 1.0, 1.0, 1), "carried")]
    figure, _ = bars({"method": "leave-one-out", "deterministic": True, "parts": parts})
    assert figure.data[0].customdata == ("1.000 (exact: the generator repeats itself)",)
    assert figure.data[0].error_x.array is None


def test_without_a_gold_answer_the_bars_are_what_changes_of_the_words() -> None:
    unknown = Estimate.undefined("no gold answer says what is right")
    failed = Estimate.undefined(FAILED)
    rows = [
        row("a", unknown, "changed", 0.25),
        row("b", unknown, "unsure"),
        row("c", failed, "unsure"),
    ]
    figure, axis = bars({"method": "leave-one-out", "parts": rows})
    assert axis.startswith("Share of the answer's words")
    assert figure.data[0].x == (None, None, pytest.approx(0.75))
    assert figure.data[0].customdata[:2] == (FAILED, "no stored text")
