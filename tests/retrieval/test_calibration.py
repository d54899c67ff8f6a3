from __future__ import annotations

import numpy as np
import pytest

from ragdiag.retrieval.calibration import calibrate, fit_platt


def pairs(
    slope: float, offset: float, n: int = 400, each: int = 20
) -> tuple[list[list[float]], list[list[bool]]]:
    chance = np.random.default_rng(0)
    logits = chance.normal(scale=4, size=(n, each))
    likely = 1 / (1 + np.exp(-(slope * logits + offset)))
    return logits.tolist(), (chance.random((n, each)) < likely).tolist()


def test_the_fit_finds_what_made_the_labels_and_helps_on_other_questions() -> None:
    found = calibrate(*pairs(0.4, -1.5))
    assert (found.slope, found.offset) == pytest.approx((0.4, -1.5), abs=0.06)
    assert found.brier_after < 0.8 * found.brier_before
    assert (found.pairs, 0 < found.relevant < found.pairs) == (8000, True)


def test_what_is_calibrated_already_stays() -> None:
    found = calibrate(*pairs(1.0, 0.0))
    assert (found.slope, found.offset) == pytest.approx((1.0, 0.0), abs=0.1)
    assert found.brier_after == pytest.approx(found.brier_before, abs=0.001)


def test_separated_logits_do_not_run_to_infinity() -> None:
    slope, _ = fit_platt([-5.0] * 50 + [5.0] * 50, [False] * 50 + [True] * 50)
    assert 0.5 < slope < 2


@pytest.mark.parametrize(
    ("labels", "reason"),
    [([True, True], "same label"), ([True, False], "does not make a passage likelier")],
)
def test_logits_that_say_nothing_are_refused(labels: list[bool], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        fit_platt([-1.0, 1.0], labels)


def test_a_few_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="4 questions"):
        calibrate([[0.0]] * 4, [[True]] * 4)
