"""What people mend, by how many questions wait for it."""

from __future__ import annotations

import pytest

from ragdiag.diagnosis.levers import WorkRates
from ragdiag.records import Diagnosis
from ragdiag.workflows.diagnosing.counted_levers import counted_levers


def diagnoses(cause: str, verdict: str, n: int, second: str | None = None) -> list[Diagnosis]:
    evidence = {"y": int(verdict == "ok")}
    one = Diagnosis("r", cause, verdict, "", "A", evidence, second)  # type: ignore[arg-type]
    return [one] * n


FOUND = [
    *diagnoses("corpus_gap", "corpus", 6, "missing"),
    *diagnoses("corpus_gap", "corpus", 4, "stale"),
    *diagnoses("in_context", "label_suspect", 5),
    *diagnoses("in_context", "ok", 35),
]


def test_each_has_a_count_a_gain_with_its_interval_and_a_place() -> None:
    document, index, label = counted_levers(FOUND, WorkRates(), "hybrid", "test")
    assert document.name == "add what 6 questions ask for"
    assert document.work_minutes == 120
    assert document.gain.value == pytest.approx(6 / 50 * 35 / 40)
    assert document.gain.low < document.gain.value < document.gain.high
    assert document.action.startswith("the questions: Triage, version hybrid, verdict corpus")
    assert "right 88% of the time (74% to 95%, n = 40)" in document.note
    assert index.name == "index what 4 questions ask for"
    assert index.action == "ragdiag index build hybrid"
    assert (label.name, label.basis) == ("mend 5 suspect labels", "ceiling")
    assert (label.gain.value, label.gain.n, label.work_minutes) == (0.1, 50, 25)
    assert "verdict label_suspect; then: ragdiag import gold PATH" in label.action
    assert label.note.startswith("a bound, ")


def test_nothing_waits_where_nothing_is_missing() -> None:
    assert counted_levers(diagnoses("in_context", "ok", 5), WorkRates(), "hybrid", "test") == []
