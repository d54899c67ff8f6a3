"""What holds a release whose test split passed: lost regression questions, and gains that are of no
use on new questions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragdiag.records import Estimate, Hit, Question
from ragdiag.stats.contrasts import paired_means
from ragdiag.stats.criteria import Criterion
from ragdiag.stats.gates import gate_quality
from ragdiag.training.runs import Change, Overfit, SetName, holm_of
from ragdiag.version import ExtractiveSpec, LexicalSpec, Spec, Version
from ragdiag.workflows.comparing.gate import ReleaseGate
from ragdiag.workflows.tuning.tuned_change import (
    HeldOut,
    Ranked,
    judge_release,
    lost_regressions,
    measure_change,
)

VERSION = Version("v", Spec(lexical=LexicalSpec(), generator=ExtractiveSpec()))


def release(quality: Criterion, n: int = 100) -> ReleaseGate:
    return ReleaseGate(VERSION, VERSION, "test", 1, n, n, n, 0, {"quality": quality})


PASSED = release(Criterion("MRR@10", "pass", "fine", "difference", Estimate.undefined("")))


def asked(name: SetName, ranks: dict[str, int | None]) -> tuple[HeldOut, Ranked]:
    """Questions whose gold passage stands at these ranks."""
    found = {}
    for question, rank in ranks.items():
        names = [f"other {at}" for at in range(1, 15)]
        if rank is not None:
            names[rank - 1] = "gold"
        found[question] = tuple(Hit(passage, -float(at)) for at, passage in enumerate(names))
    questions = [Question(one, f"{one}?") for one in ranks]
    judgments = {one: {"gold": 1} for one in ranks}
    return HeldOut(name, questions, judgments), Ranked(found, dict.fromkeys(ranks))


BEFORE = {"stays": 1, "from-top": 1, "from-ten": 10, "moves": 8, "never": 12, "found": None}
AFTER = {"stays": 1, "from-top": 2, "from-ten": 11, "moves": 10, "never": None, "found": 3}


def test_a_lost_regression_question_holds_a_pass_and_is_not_named() -> None:
    held, before = asked("regressions", BEFORE)
    _, after = asked("regressions", AFTER)
    assert lost_regressions(held, before, after) == ["from-top", "from-ten"]
    assert lost_regressions(held, before, before) == []
    gate = judge_release(PASSED, {}, (), 2)
    assert gate.decision == "inconclusive"
    assert gate.reasons[0].startswith("2 regression questions are lost")
    assert "from-t" not in gate.reasons[0]
    kept = judge_release(PASSED, {}, ())
    assert (kept.decision, kept.reasons) == ("pass", ("quality: fine",))
    measured = measure_change(held, before, after)
    assert [one.question_id for one in measured.gained] == ["found"]
    lost = ["from-top", "never", "moves", "from-ten"]
    assert [one.question_id for one in measured.lost] == lost
    assert measure_change(replace(held, name="dev"), before, after).lost == ()


def test_where_nothing_moved_no_least_difference_is_named() -> None:
    held, before = asked("test", BEFORE)
    (first, *_) = measure_change(held, before, before).changes
    assert (first.p, first.detectable, first.detectable_reason) == (1.0, None, "all the same")
    (moved, *_) = measure_change(held, before, asked("test", AFTER)[1]).changes
    assert moved.detectable is not None
    assert moved.detectable_reason is None


def test_a_rollback_stays_one_and_comes_first() -> None:
    worse = Criterion("MRR@10", "rollback", "worse", "difference", Estimate.undefined(""))
    gate = judge_release(release(worse), {}, (), ["q1"])
    assert gate.decision == "rollback"
    assert gate.reasons[0] == "quality: worse"
    gate = judge_release(PASSED, {"synthetic": worse}, (), ["q1"])
    assert gate.decision == "rollback"
    assert gate.reasons[0] == "synthetic questions: worse"


def test_each_set_of_new_questions_can_hold_a_pass() -> None:
    drop = Estimate(0.05, 0.01, 0.09, 300)
    fine = Overfit("MRR@10", "test", "temporal", Estimate(0.01, -0.3, 0.3, 3), "none")
    bad = Overfit("MRR@10", "test", "synthetic", drop, "overfit")
    assert judge_release(PASSED, {}, (fine,)).decision == "pass"
    gate = judge_release(PASSED, {}, (fine, bad))
    assert gate.decision == "inconclusive"
    assert "0.050 MRR@10 more than synthetic" in gate.reasons[0]


def test_an_open_gate_says_how_many_questions_would_decide() -> None:
    before = [1.0, 0.5, 0.0, 1.0] * 10
    after = [1.0, 0.5, 0.1, 0.9] * 10
    means = paired_means(before, after, [str(at) for at in range(len(before))])
    quality = replace(gate_quality(means, "MRR@10"), decision="inconclusive", needed_n=900)
    gate = judge_release(release(quality, 40), {}, ())
    assert gate.decision == "inconclusive"
    assert gate.reasons[-1].startswith("About 860 more questions would decide")


def test_p_is_corrected_for_all_that_is_shown() -> None:
    flat = Estimate(0.5, 0.4, 0.6, 10)
    changes = [Change("MRR@10", flat, flat, flat, p) for p in (0.01, None, 0.04, 0.03)]
    assert holm_of(changes) == pytest.approx([0.03, float("nan"), 0.06, 0.06], nan_ok=True)
