"""Headroom against counts made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ragdiag.diagnosis.headroom import Failure, headroom, headroom_by_slice, tell_headroom
from ragdiag.diagnosis.replay import ArmOutcome
from ragdiag.metrics.question_slices import Slices
from ragdiag.stats.intervals import wilson


def arms(g: float, plus: float, order: float = 0.0, **more: float) -> dict[str, float]:
    return {"r": 0.0, "g": g, "g+": plus, "s": order, "none": 0.0, **more}


def test_share_of_failures_that_each_context_turns_right() -> None:
    found = headroom([Failure(p) for p in (arms(1, 1, 1), arms(1, 0), arms(0, 0))])
    assert found["tau"] == wilson(2, 3)
    assert found["tau_recall"] == found["tau_rerank"] == wilson(1, 3)
    assert tell_headroom(found) == (
        "Perfect retrieval would fix 67 % of the failures (12–98 %, n = 3); a perfect order of"
        " what was found alone 33 % (2–88 %)."
    )


def test_a_sampling_generator_is_measured_net_of_its_own_luck() -> None:
    sampled = Failure({"r": 1 / 3, "g": 1.0}, deterministic=False)
    found = headroom([sampled] * 5)
    assert found["tau"].value == found["tau_net"].value == pytest.approx(2 / 3)


def test_one_answer_that_varied_does_not_change_what_the_other_failures_say() -> None:
    """Ten are right when asked again, and so no failures; of a generator that samples it may be
    luck."""
    again, mended = Failure(arms(1, 1, r=1)), Failure(arms(1, 1))
    exact = headroom([*[again] * 10, *[mended] * 11])
    assert (exact["tau"].value, exact["tau"].n) == (1.0, 11)
    varied = Failure(arms(1, 1, r=1 / 3), deterministic=False)
    found = headroom([*[again] * 10, *[mended] * 10, varied])
    assert found["tau"].n == 11
    assert found["tau"].value == pytest.approx((10 + 2 / 3) / 11)
    assert headroom([varied, replace(varied, p=arms(1, 1, r=1))])["tau"].n == 2
    nothing = headroom([again, replace(varied, p={"g": 1.0})])["tau"]
    assert nothing.reason == "every answer was right when it was asked for again"


def test_gold_that_makes_it_worse_is_told_as_that() -> None:
    p = {"r": 2 / 3, "g": 1 / 3}
    worse = [Failure(p, cluster=f"d{n}", deterministic=False) for n in range(12)]
    told = tell_headroom(headroom(worse))
    assert told is not None
    assert told.startswith("Perfect retrieval would fix −33 % of the failures (−")
    assert " to " in told
    assert "worse than what was retrieved" in told


def drawn(cluster: str, **right: int) -> Failure:
    """A failure of a generator that samples, by how many of three draws were right."""
    arms = {arm: ArmOutcome(n, 3, deterministic=False) for arm, n in right.items()}
    evidence = {
        "p": {arm: outcome.p for arm, outcome in arms.items()},
        "draws": {arm: outcome.draws for arm, outcome in arms.items()},
        "deterministic": False,
        "gold_documents": [cluster],
    }
    return Failure.of(evidence, "tea", "q1")


def test_means_are_of_draws_and_not_of_posterior_means() -> None:
    found = headroom([drawn(f"d{n}", r=0, g=3, s=n % 2) for n in range(40)])
    assert found["tau"].value == found["tau_net"].value == 1.0
    assert found["tau_rerank"].value == pytest.approx(1 / 6)
    stronger = headroom([drawn("a", **{"r": 0, "g": 3, "G+": 3, "G+r": 0})])
    assert (stronger["phi_R"].value, stronger["phi_G"].value) == (1.0, 0.0)


def test_failures_that_all_mend_alike_still_have_an_interval() -> None:
    found = headroom([drawn(f"d{n}", r=0, g=3) for n in range(40)])
    none_of_40 = wilson(0, 40).high  # the most clusters that could be other than these
    assert (found["tau"].low, found["tau"].high) == (pytest.approx(1 - 2 * none_of_40), 1.0)
    assert tell_headroom(found) == (
        "Perfect retrieval would fix 100 % of the failures (82–100 %, n = 40)."
    )
    exact = headroom([Failure(arms(1, 1), cluster=f"d{n}") for n in range(40)])
    assert exact["tau"] == wilson(40, 40)
    assert exact["tau_net"] == found["tau_net"]


def test_shapley_values_share_out_the_whole_headroom() -> None:
    """Beside the plain definition: the mean over both orders of putting the two in."""
    failures = [
        Failure(arms(1, 1, **{"G+": 1.0, "G+r": 0.0}), cluster="a"),
        Failure(arms(0, 0, **{"G+": 1.0, "G+r": 0.0}), cluster="b"),
        Failure(arms(0, 0, **{"G+": 1.0, "G+r": 1.0}), cluster="c"),
        Failure(arms(1, 0), cluster="d"),  # the stronger generator was not asked
    ]
    retrieval = [
        ((f.p["g"] - f.p["r"]) + (f.p["G+"] - f.p["G+r"])) / 2 for f in failures if "G+" in f.p
    ]
    found = headroom(failures)
    assert found["phi_R"].value == pytest.approx(sum(retrieval) / 3)
    assert found["phi_R"].value + found["phi_G"].value == pytest.approx(1.0)
    assert "phi_R" not in headroom(failures[3:])


def test_failures_without_known_gold_widen_to_bounds() -> None:
    bounds = headroom([Failure(arms(1, 1)), Failure(arms(0, 0)), *[Failure({})] * 2])["tau_bounds"]
    assert (bounds.low, bounds.high, bounds.n) == (0.25, 0.75, 4)
    assert math.isnan(bounds.value)


def test_failures_that_no_budget_was_left_for_widen_them_too() -> None:
    replayed = [Failure(arms(1, 1))] * 4
    bounds = headroom([*replayed, *[Failure({})] * 16])["tau_bounds"]
    assert (bounds.low, bounds.high, bounds.n) == (pytest.approx(0.2), 1.0, 20)
    assert bounds.reason == "bounds: 16 of 20 not answered with gold"


def test_bounds_leave_out_what_is_right_when_asked_again_as_the_share_does() -> None:
    again = [Failure(arms(1, 1, r=1))] * 5 + [Failure({"r": 1.0})]
    wrong = [Failure(arms(1, 1))] * 3 + [Failure(arms(0, 0))] * 2
    bounds = headroom([*again, *wrong, *[Failure({})] * 2])["tau_bounds"]
    assert (bounds.low, bounds.high) == (pytest.approx(3 / 7), pytest.approx(5 / 7))
    assert (bounds.n, bounds.reason) == (7, "bounds: 2 of 7 not answered with gold")
    only = headroom([*again, Failure({})])["tau_bounds"]
    assert only.reason == "every answer was right when it was asked for again"


def test_what_is_right_when_asked_again_is_not_mended_by_gold() -> None:
    found = headroom([Failure({"r": 1.0, "g": 1.0})] * 5 + [Failure({"r": 0.0, "g": 0.0})] * 5)
    assert found["tau"] == wilson(0, 5)
    only = headroom([Failure({"r": 1.0, "g": 1.0})])["tau"]
    assert only.reason == "every answer was right when it was asked for again"


def test_slices_are_those_of_the_questions() -> None:
    slices: Slices = {
        "words": {"q1": "rare words (5)", "q2": "common words (2)", "q3": "common words (2)"},
        "answerable": dict.fromkeys(("q1", "q2"), "answerable"),
        "golds": {"q1": "1 gold passage", "q9": "2 gold passages"},
    }
    found = headroom_by_slice(
        [
            Failure(arms(1, 1), question_id="q1"),
            Failure(arms(0, 0), question_id="q2"),
            Failure({}, question_id="q3"),
            Failure(arms(1, 1)),
        ],
        slices,
    )
    assert found == {"words": {"common words (2)": wilson(0, 1), "rare words (5)": wilson(1, 1)}}
    assert list(found["words"]) == ["common words (2)", "rare words (5)"]


def test_without_failures_it_is_undefined_with_its_reason() -> None:
    assert headroom([])["tau"].reason == "no failure was replayed"
    assert tell_headroom(headroom([])) is None


def test_what_a_diagnosis_keeps_is_read_back() -> None:
    kept = {"p": {"g": 1.0, "r": None}, "gold_documents": ["d2"], "n_gold": 2}
    assert Failure.of(kept, "tea", "q1") == Failure({"g": 1.0}, True, "d2", "q1")
    assert Failure.of({}, "tea", None) == Failure({}, True, "tea")


def test_failures_about_one_document_are_not_independent() -> None:
    right = [one for one in (1.0, 1.0, 0.0, 1.0, 0.0, 1.0) for _ in range(5)]
    joined, alone = (
        headroom([Failure({"r": 0.0, "g": p}, cluster=owner(n)) for n, p in enumerate(right)])[
            "tau"
        ]
        for owner in (lambda n: f"d{n // 5}", lambda n: f"d{n}")
    )
    assert alone == wilson(20, 30)
    assert joined.value == alone.value
    assert joined.high - joined.low > 1.5 * (alone.high - alone.low)
