"""What reviewers are given, what they say, and how far they agree."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ragdiag.errors import InputError
from ragdiag.grading.rules import DefaultGrader
from ragdiag.records import DEFAULT_GRADER, Grade, Request
from ragdiag.settings import Workspace
from ragdiag.store.deciding import load_people
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.results import load_requests, save_findings
from ragdiag.store.reviews import load_answered, load_asked, load_reviews
from ragdiag.workflows.grading.corrected_rates import correct_rate, sample_to_label
from ragdiag.workflows.grading.grade import grade_requests
from ragdiag.workflows.grading.reviews import (
    draw_reviews,
    reviewer_agreement,
    reviewer_grader,
    save_label,
    withdraw_label,
)
from tests.answered import OLD, answer, log
from tests.diagnosed import diagnose

COUNT = 40
ALL = Filters()


@pytest.fixture
def lake(copied: Callable[[Workspace], Lake], answered_corpus: Workspace) -> Lake:
    return copied(answered_corpus)


@pytest.fixture
def asked(lake: Lake, workspace: Workspace) -> list[Request]:
    """Forty answers, every tenth wrong; the default grader has graded them."""
    log(lake, workspace, [answer(n, OLD, right=n % 10 != 0) for n in range(COUNT)])
    log(lake, workspace, [answer(COUNT, OLD, answer="", status="no_answer")])
    requests = load_requests(lake, version_id=OLD.version_id)
    save_findings(
        lake,
        grades=[Grade(f"old-{n:05}", DEFAULT_GRADER, int(n % 10 != 0), 0.5) for n in range(COUNT)],
    )
    return requests


def test_the_sample_is_the_same_for_all_and_grows_in_place(
    lake: Lake, workspace: Workspace, asked: list[Request]
) -> None:
    first = draw_reviews(lake, ALL, 12, "at random")
    assert (len(first), len(set(first))) == (12, 12)
    assert asked[-1].request_id not in {one.request_id for one in load_answered(lake, ALL)}
    log(lake, workspace, [answer(n, OLD) for n in range(COUNT + 1, COUNT + 4)])
    # Three answers that came since displace three at most.
    assert len(set(first) & set(draw_reviews(lake, ALL, 12, "at random"))) >= 9
    both = draw_reviews(lake, Filters(version_id=OLD.version_id), 8, "as many right as wrong")
    assert sum(name[-1] == "0" for name in both) >= 2
    assert [name[-1] == "0" for name in both] != sorted(name[-1] == "0" for name in both)


def test_a_label_replaces_the_last_and_can_be_taken_back(lake: Lake, asked: list[Request]) -> None:
    one, two = (request.request_id for request in asked[:2])
    save_label(lake, "Ada", one, "wrong", " no number ")
    save_label(lake, " ADA ", one, "correct")
    save_label(lake, "ada", two, "cannot tell")
    assert [(name, list(said)) for name, said in load_reviews(lake, [one, two]).items()] == [
        ("ada", [one, two])
    ]
    assert load_people(lake, [one, two]) == {one: 1}
    withdraw_label(lake, "Ada", one)
    assert list(load_reviews(lake, [one, two])["ada"]) == [two]
    assert load_people(lake, [one, two]) == {}
    for name in ("", "x" * 41, "a\x07b"):
        with pytest.raises(InputError, match="give 1 to 40 printable characters"):
            reviewer_grader(name)


def test_kappa_of_two_reviewers_is_over_what_both_decided(lake: Lake, asked: list[Request]) -> None:
    for n, request in enumerate(asked[:8]):
        save_label(lake, "ada", request.request_id, "correct" if n % 2 else "wrong")
        bo = "cannot tell" if n == 7 else "correct" if n % 2 or n == 0 else "wrong"
        save_label(lake, "bo", request.request_id, bo)
    save_label(lake, "cy", asked[20].request_id, "wrong")
    ids = [request.request_id for request in asked]
    found = reviewer_agreement(load_reviews(lake, ids))
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.same, pair.kappa.n) == ("ada", "bo", 6, 7)
    # By hand: p_o = 6/7, p_e = (3/7 · 4/7) + (4/7 · 3/7) = 24/49.
    assert pair.kappa.value == pytest.approx((6 / 7 - 24 / 49) / (1 - 24 / 49))
    assert pair.kappa.low < pair.kappa.value < pair.kappa.high
    assert (found.labels["bo"], found.decided["bo"], found.reason) == (8, 7, "")
    assert "ada and bo: κ 0.72 (" in found.to_text()


def test_why_there_is_no_kappa(lake: Lake, asked: list[Request]) -> None:
    def why() -> str:
        found = reviewer_agreement(load_reviews(lake))
        assert found.to_json()["reason"] == (found.reason or None)
        return found.reason

    assert why() == "no reviewer has labelled an answer"
    save_label(lake, "ada", asked[0].request_id, "correct")
    assert why() == "only ada has labelled answers, and agreement needs two"
    save_label(lake, "bo", asked[0].request_id, "cannot tell")
    assert why() == "no answer was decided by two reviewers"
    save_label(lake, "bo", asked[0].request_id, "correct")
    found = reviewer_agreement(load_reviews(lake))
    assert "κ undefined (one label only), n = 1; the same label 1 times" in found.to_text()


def test_reviews_correct_the_graders_rate(lake: Lake, asked: list[Request]) -> None:
    """Every answer labelled: the rate of the labels, not the grader's 0.9; one was declined."""
    ada, ids = reviewer_grader("ada"), [request.request_id for request in asked[:COUNT]]
    save_findings(lake, grades=[Grade(one, ada, n % 2, n % 2) for n, one in enumerate(ids)])
    found = correct_rate(lake, load_asked(lake, ALL), DEFAULT_GRADER)
    assert (found.graded.value, found.labels) == (0.9, COUNT)
    assert found.corrected.value == pytest.approx(20 / 41)


def test_rates_of_a_sampled_log_are_those_of_all_requests(lake: Lake, workspace: Workspace) -> None:
    """100 answers, 10 of them wrong and kept for certain; 1 in 5 of the right ones was drawn."""
    log(lake, workspace, [answer(n, OLD, right=False) for n in range(10)])
    log(lake, workspace, [answer(n, OLD, keep_probability=0.2) for n in range(10, 28)])
    found = grade_requests(lake, load_requests(lake), DefaultGrader())
    assert (found.right.value, found.right.n) == (pytest.approx(0.9), 28)
    assert found.bounds == (pytest.approx(0.9), pytest.approx(0.9))
    labels = [Grade(f"old-{n:05}", "reviewer:ada", int(n >= 10), 0.5) for n in range(26)]
    save_findings(lake, grades=labels)
    rate = correct_rate(lake, load_asked(lake, ALL), DEFAULT_GRADER)
    assert (rate.rows, rate.labels) == (28, 26)
    assert rate.graded == found.right
    assert rate.corrected.low < 0.9 < rate.corrected.high
    assert rate.corrected.low > 0.7
    drawn = sample_to_label(lake, load_requests(lake), DEFAULT_GRADER, 8)
    assert sorted(line["propensity"] for line in drawn) == [4 / 18] * 4 + [0.4] * 4


def test_a_relabelled_answer_is_diagnosed_anew_in_the_reviewers_word(
    lake: Lake, workspace: Workspace, asked: list[Request]
) -> None:
    log(lake, workspace, [answer(n, OLD, traffic="production") for n in (100, 101)])
    first = diagnose(lake, workspace, OLD, traffic="production")
    assert (first.failures, first.verdicts) == (0, {})
    save_label(lake, "ada", "old-00100", "wrong")
    second = diagnose(lake, workspace, OLD, traffic="production")
    assert second.failures == 1
    evidence = lake.rows("select evidence from latest_verdicts where request_id = 'old-00100'")[0][
        "evidence"
    ]
    assert '"grader": "human"' in evidence
    assert '"y": 0' in evidence
    withdraw_label(lake, "ada", "old-00100")
    assert diagnose(lake, workspace, OLD, traffic="production").failures == 0
