"""Every row of the verdict table of METHODS.md §4."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ragdiag.diagnosis.replay import ArmOutcome
from ragdiag.diagnosis.verdicts import judge, supports
from ragdiag.diagnosis.waterfall import Loss
from ragdiag.records import Arm, Cause, Diagnosis, Grade, Request

REQUEST = Request("r1", datetime(2026, 1, 5, tzinfo=UTC), "v", "evaluation", "Where?")
HIGH, LOW = ArmOutcome(1, 1, deterministic=True), ArmOutcome(0, 1, deterministic=True)
UNSURE = ArmOutcome(2, 3, deterministic=False)
MENDED: dict[Arm, ArmOutcome] = {"r": LOW, "g": HIGH, "g+": HIGH, "none": LOW}
HOPELESS: dict[Arm, ArmOutcome] = {"r": LOW, "g": LOW, "g+": LOW, "none": LOW}


def verdict(
    cause: Cause,
    arms: dict[Arm, ArmOutcome],
    *,
    y: int | None = 0,
    supported: bool = True,
    others_agree: bool = False,
) -> Diagnosis:
    loss = Loss(cause, "g", {"fused": 7}, 0.0)
    return judge(
        REQUEST,
        Grade("r1", "toy", y),
        loss,
        arms,
        gold_supported=supported,
        others_agree=others_agree,
    )


@pytest.mark.parametrize(
    ("cause", "arms", "expected"),
    [
        ("corpus_gap", MENDED, "corpus"),
        ("packing", MENDED, "packing"),
        ("recall_miss", MENDED, "retrieval"),
        ("fusion_loss", MENDED, "retrieval"),
        ("rerank_loss", MENDED, "retrieval"),
        ("beyond_logged_depth", MENDED, "retrieval"),
        ("in_context", MENDED, "distraction"),
        ("in_context", HOPELESS, "generator"),
        ("recall_miss", HOPELESS, "generator"),
        ("packing", MENDED | {"g+": LOW}, "undetermined"),
        ("recall_miss", MENDED | {"g": UNSURE}, "undetermined"),
        ("recall_miss", MENDED | {"r": HIGH}, "undetermined"),
        ("gold_unknown", {}, "undetermined"),
    ],
)
def test_first_condition_that_holds(
    cause: Cause, arms: dict[Arm, ArmOutcome], expected: str
) -> None:
    assert verdict(cause, arms).verdict == expected


@pytest.mark.parametrize(
    ("lost_at", "arms", "expected"),
    [
        ("recall_miss", MENDED | {"g-": LOW}, ("retrieval", "recall_miss", "h")),
        ("packing", MENDED | {"g-": LOW}, ("packing", "packing", "h")),
        ("corpus_gap", MENDED | {"g-": LOW}, ("corpus", "corpus_gap", "h")),
        ("recall_miss", MENDED | {"g-": HIGH}, ("distraction", "in_context", "g")),
        ("recall_miss", HOPELESS | {"g-": LOW}, ("generator", "in_context", "g")),
    ],
)
def test_gold_that_is_missing_beside_gold_that_arrived_is_to_blame_where_it_is_needed(
    lost_at: Cause, arms: dict[Arm, ArmOutcome], expected: tuple[str, str, str]
) -> None:
    missing = Loss(lost_at, "h", {"fused": 9}, 0.5)
    loss = Loss("in_context", "g", {"fused": 1}, 0.5, missing)
    found = judge(REQUEST, Grade("r1", "toy", 0), loss, arms, gold_supported=True)
    assert (found.verdict, found.cause, found.evidence["gold_passage"]) == expected


def test_gold_that_does_not_support_the_answer_goes_to_a_person() -> None:
    assert verdict("recall_miss", HOPELESS, supported=False).verdict == "label_suspect"


@pytest.mark.parametrize("cause", ["recall_miss", "in_context", "gold_unknown"])
def test_accepted_answers_that_contradict_each_other_go_to_a_person(cause: Cause) -> None:
    loss = Loss(cause, "g", {}, 0.0)
    told = {"gold_supported": True, "contradicting_gold": True}
    found = judge(REQUEST, Grade("r1", "toy", 0), loss, MENDED, **told)
    assert found.verdict == "label_suspect"
    assert found.evidence["rule"] == "its accepted answers contradict each other"
    right = judge(REQUEST, Grade("r1", "toy", 1), loss, {}, **told)
    assert right.verdict in ("ok", "lucky")
    assert right.evidence["contradicting_gold"] is True


def test_a_stronger_generator_that_fails_on_gold_too_puts_the_label_in_doubt() -> None:
    assert verdict("recall_miss", HOPELESS | {"G+": HIGH}).verdict == "generator"
    assert verdict("recall_miss", HOPELESS | {"G+": LOW}).verdict == "label_suspect"
    assert verdict("recall_miss", HOPELESS | {"G+": UNSURE}).verdict == "undetermined"


def test_successes_have_states_too() -> None:
    assert verdict("in_context", {}, y=1).verdict == "ok"
    assert verdict("recall_miss", {}, y=1).verdict == "lucky"
    assert verdict("gold_unknown", {}, y=1).verdict == "ok"


def test_an_answer_that_could_not_be_graded_is_undetermined() -> None:
    assert verdict("in_context", {}, y=None).verdict == "undetermined"


def test_what_a_failed_arm_leaves_open_is_said_to_be_its_failure() -> None:
    failed = ArmOutcome(0, 0, deterministic=True, failed=True)
    found = verdict("recall_miss", MENDED | {"g": failed})
    assert (found.verdict, found.evidence["failed_arms"]) == ("undetermined", ["g"])
    assert found.evidence["rule"] == "the generator failed on g"
    assert verdict("in_context", {"r": failed, "g": failed}).evidence["failed_arms"] == ["r", "g"]
    decided = verdict("recall_miss", MENDED | {"s": failed})
    assert (decided.verdict, decided.evidence["failed_arms"]) == ("retrieval", ["s"])


def test_the_verified_fix_is_the_first_arm_that_flips() -> None:
    assert verdict("recall_miss", MENDED).verified_fix == "g+"
    assert verdict("recall_miss", MENDED | {"s": HIGH}).verified_fix == "s"
    assert verdict("in_context", MENDED | {"g+": LOW, "s": LOW}).verified_fix == "g"
    assert verdict("in_context", HOPELESS | {"G+": HIGH}).verified_fix == "G+"
    assert verdict("in_context", HOPELESS).verified_fix == "no_fix"
    assert verdict("in_context", MENDED | {"r": HIGH}).verified_fix == ""


def test_no_verdict_claims_a_higher_tier_than_its_evidence() -> None:
    assert verdict("recall_miss", MENDED).tier == "A"
    assert verdict("in_context", {}, y=1).tier == "B"
    assert verdict("gold_unknown", {}).tier == "C"
    nothing = Grade("r1", "toy", None, status="no_gold")
    loss = Loss("gold_unknown", None, {}, float("nan"))
    assert judge(REQUEST, nothing, loss, {}, gold_supported=True).tier == "D"


def test_support_is_verbatim_or_half_of_the_words_of_a_longer_answer() -> None:
    assert supports(["It is 12."], ["12"])
    assert supports(["Cats sleep long days indoors."], ["cats sleep during long days"])
    assert not supports(["Cats sleep."], ["a completely different long answer"])
    assert not supports(["two"], ["two cats"])


def test_arms_that_got_different_answers_are_named() -> None:
    varied = ArmOutcome(3, 3, deterministic=False, varied=True)
    found = verdict("recall_miss", MENDED | {"g": varied})
    assert (found.verdict, found.evidence["varied_arms"]) == ("retrieval", ["g"])
    assert found.evidence["rule"].endswith("; the generator varies on g: 3 answers of each")
    assert verdict("recall_miss", MENDED).evidence["varied_arms"] == []


def test_two_other_generators_that_agree_on_another_answer_put_the_label_in_doubt() -> None:
    assert verdict("recall_miss", MENDED, others_agree=True).verdict == "label_suspect"
    assert verdict("in_context", HOPELESS, others_agree=True).verdict == "label_suspect"
    assert verdict("corpus_gap", MENDED, others_agree=True).verdict == "corpus"
