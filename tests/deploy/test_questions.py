"""Fewer found than before is bad where it is more than noise."""

from __future__ import annotations

import pytest

from ragdiag.deploy.questions import look_at_questions
from ragdiag.deploy.soundness import Target
from ragdiag.version import Version

BEFORE = {f"q{n}": 1 for n in range(20)}
ALONE = {name: name for name in (*BEFORE, "w0", "w1", "new")}


@pytest.fixture
def target(version: Version) -> Target:
    return Target(version, "b1")


@pytest.mark.parametrize(
    ("lost", "won", "status"),
    [(0, 0, "good"), (1, 1, "good"), (1, 0, "warn"), (5, 0, "warn"), (6, 0, "bad"), (8, 2, "warn")],
)
def test_worse_than_noise_is_bad_worse_at_all_a_warning(
    target: Target, lost: int, won: int, status: str
) -> None:
    before = BEFORE | {f"w{n}": 0 for n in range(2)}
    now = BEFORE | {f"q{n}": 0 for n in range(lost)} | {f"w{n}": int(n < won) for n in range(2)}
    finding, details = look_at_questions(now, before, ALONE, target)
    assert (finding.status, details["lost"], details["won"]) == (status, lost, won)
    assert details["found"] == now
    if status != "good":
        assert finding.remedy == "run: ragdiag index diagnose lexical"


def test_only_questions_asked_both_times_are_compared(target: Target) -> None:
    finding, details = look_at_questions({"new": 0, "q1": 1}, BEFORE, ALONE, target)
    assert (finding.status, details["compared"]) == ("good", 1)


def test_a_first_time_has_nothing_to_compare_with(target: Target) -> None:
    for before in (None, {"other": 1}):
        finding, _ = look_at_questions({"q1": 0}, before, ALONE, target)
        assert finding.status == "good"
        assert "0 of 1 judged questions" in finding.what
        assert "nothing to compare with" in finding.what


def test_no_judged_question_is_a_warning_that_says_how_to_get_some(target: Target) -> None:
    finding, _ = look_at_questions({}, BEFORE, {}, target)
    assert finding.status == "warn"
    assert "ragdiag import gold" in finding.remedy


def test_questions_about_one_document_are_one_loss(target: Target) -> None:
    """Ten that were lost with one of four documents are p = .002 by McNemar's test."""
    before = {f"q{n}": 1 for n in range(40)}
    now = before | {f"q{n}": 0 for n in range(10)}
    owners = {name: f"document {int(name[1:]) // 10}" for name in before}
    finding, details = look_at_questions(now, before, owners, target)
    assert (finding.status, details["lost"], details["test"]) == ("warn", 10, "cluster-robust t")
    spread = now | {f"q{n}": int(n % 10 > 1) for n in range(40)} | {"q2": 0}
    finding, _ = look_at_questions(spread, before, owners, target)
    assert finding.status == "bad"


def test_where_all_are_about_one_document_nothing_is_tested(target: Target) -> None:
    now = dict.fromkeys(BEFORE, 0)
    finding, details = look_at_questions(now, BEFORE, dict.fromkeys(BEFORE, "one"), target)
    assert (finding.status, details["p"]) == ("warn", None)
    assert "all about one document, so not tested" in finding.what
