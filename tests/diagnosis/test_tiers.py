"""What each tier may say, and what it may not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ragdiag.diagnosis.replay import ArmOutcome
from ragdiag.diagnosis.tiers import (
    MOST_HOLDERS,
    Signs,
    from_gold_answer,
    from_gold_passages,
    from_logged_gold,
    from_signs,
    holders,
)
from ragdiag.diagnosis.verdicts import judge
from ragdiag.diagnosis.waterfall import Loss
from ragdiag.records import Cause, Diagnosis, Grade, Request

REQUEST = Request("r1", datetime(2026, 1, 5, tzinfo=UTC), "v", "production", "Where?")
WRONG, NO_GOLD = Grade("r1", "toy", 0), Grade("r1", "toy", None, status="no_gold")
UNKNOWN = Loss("gold_unknown", None, {}, float("nan"))


def told(grade: Grade, loss: Loss, signs: Signs = Signs()) -> Diagnosis:  # noqa: B008
    return judge(REQUEST, grade, loss, {}, gold_supported=True, signs=signs)


@pytest.mark.parametrize(
    ("cause", "verdict"),
    [
        ("recall_miss", "retrieval"),
        ("beyond_logged_depth", "retrieval"),
        ("packing", "packing"),
        ("in_context", "undetermined"),
    ],
)
def test_logged_gold_blames_the_stage_that_lost_it_and_no_other(cause: Cause, verdict: str) -> None:
    found = told(WRONG, Loss(cause, "g", {}, 0.0))
    assert (found.tier, found.verdict) == ("B", verdict)
    assert found.verdict in ("undetermined",) or "likely" in found.evidence["rule"]
    assert from_logged_gold(cause)[0] == verdict


def test_a_gold_answer_alone_blames_by_the_passages_that_hold_it() -> None:
    for cause, verdict in (
        ("rerank_loss", "retrieval"),
        ("packing", "packing"),
        ("in_context", "undetermined"),
        ("corpus_gap", "undetermined"),
    ):
        found = told(WRONG, UNKNOWN, Signs(answer_at=cause))  # type: ignore[arg-type]
        assert (found.tier, found.verdict) == ("C", verdict)
    assert from_gold_answer(None)[0] == "undetermined"


@pytest.mark.parametrize(
    ("signs", "verdict"),
    [
        (Signs(grounded=False, sufficient=0.9), "generator"),
        (Signs(grounded=False, sufficient=0.1), "retrieval"),
        (Signs(grounded=True, sufficient=0.1, reported=True), "retrieval"),
        (Signs(grounded=True, sufficient=0.9, reported=True), "undetermined"),
        (Signs(grounded=False, sufficient=0.5), "undetermined"),
        (Signs(grounded=False), "undetermined"),
        (Signs(grounded=True, sufficient=0.1), "undetermined"),
        (Signs(grounded=True, sufficient=0.1, reported=False), "undetermined"),
    ],
)
def test_without_gold_two_signs_must_agree(signs: Signs, verdict: str) -> None:
    found = told(NO_GOLD, UNKNOWN, signs)
    assert (found.tier, found.verdict) == ("D", verdict)


@pytest.mark.parametrize(
    ("cause", "verdict"),
    [
        ("corpus_gap", "corpus"),
        ("recall_miss", "retrieval"),
        ("packing", "packing"),
        ("in_context", "undetermined"),
    ],
)
def test_gold_passages_blame_a_stage_where_somebody_calls_the_answer_wrong(
    cause: Cause, verdict: str
) -> None:
    loss = Loss(cause, "g", {}, 0.0)
    labelled = Grade("r1", "human", 0, status="no_gold")
    for grade in (labelled, NO_GOLD):  # a reviewer's label, a user's complaint
        found = told(grade, loss, Signs(reported=True))
        assert (found.tier, found.verdict) == ("D", verdict)
        assert found.evidence["rule"].startswith("somebody calls the answer wrong, no gold answer")
    for signs in (Signs(), Signs(reported=False)):
        assert told(NO_GOLD, loss, signs).evidence["rule"] == "nothing says that the answer failed"


def test_a_question_that_was_declined_has_failed_too() -> None:
    assert from_gold_passages("recall_miss", Signs(), "no_answer")[0] == "retrieval"


def test_declining_is_a_sign_of_failure_too() -> None:
    assert from_signs(Signs(sufficient=0.9), "no_answer")[0] == "generator"
    assert from_signs(Signs(sufficient=0.1), "no_answer")[0] == "retrieval"


def test_a_replay_of_which_nothing_could_be_graded_is_none() -> None:
    nothing = ArmOutcome(0, 0, deterministic=False)
    loss = Loss("recall_miss", "g", {}, 0.0)
    arms = {"r": nothing, "g": nothing}
    found = judge(REQUEST, WRONG, loss, arms, gold_supported=True)  # type: ignore[arg-type]
    assert (found.tier, found.verdict) == ("B", "retrieval")


def test_an_answer_that_stands_everywhere_is_held_by_nobody() -> None:
    texts = {f"p{n}": "the default is none" for n in range(MOST_HOLDERS + 1)}
    assert holders(texts, ["None"]) == ()
    assert len(list(holders(dict(list(texts.items())[:3]), ["None"]))) == 3
