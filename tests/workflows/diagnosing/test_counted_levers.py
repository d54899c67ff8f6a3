"""What people mend, by how many questions wait for it."""

from __future__ import annotations

import math

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
    document, index, label = counted_levers(FOUND, range(50), WorkRates(), "hybrid", "test")
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
    found = diagnoses("in_context", "ok", 5)
    assert counted_levers(found, range(5), WorkRates(), "hybrid", "test") == []


def test_questions_about_one_document_are_not_independent() -> None:
    """Two of 20 documents are missing, and answers about the others are right by document."""
    found, owners = [], []
    for document in range(20):
        cause, verdict = ("corpus_gap", "corpus") if document < 2 else ("in_context", "ok")
        verdict = "generator" if document > 14 else verdict
        found += diagnoses(cause, verdict, 10)
        owners += [document] * 10
    (alone,) = counted_levers(found, range(200), WorkRates(), "hybrid", "test")
    (joined,) = counted_levers(found, owners, WorkRates(), "hybrid", "test")
    assert joined.gain.value == pytest.approx(alone.gain.value)
    assert joined.gain.high - joined.gain.low > 2 * (alone.gain.high - alone.gain.low)


def test_questions_about_a_single_document_have_no_interval() -> None:
    document, *_, label = counted_levers(FOUND, ["d"] * 50, WorkRates(), "hybrid", "test")
    assert not document.helps
    assert "right 88% of the time (all belong together: no interval, n = 40)" in document.note
    assert document.gain.reason == label.gain.reason == "all belong together: no interval"
    assert math.isnan(label.gain.low)
