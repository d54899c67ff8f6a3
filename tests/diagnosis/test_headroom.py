"""Headroom against counts made by hand."""

from __future__ import annotations

import pytest

from ragdiag.diagnosis.headroom import headroom
from ragdiag.diagnosis.replay import ArmOutcome
from ragdiag.records import Arm
from ragdiag.stats.intervals import wilson


def arms(g: bool, plus: bool) -> dict[Arm, ArmOutcome]:
    def outcome(right: bool) -> ArmOutcome:
        return ArmOutcome(int(right), 1, deterministic=True)

    return {"r": ArmOutcome(0, 2, deterministic=True), "g": outcome(g), "g+": outcome(plus)}


def test_share_of_failures_that_gold_turns_right() -> None:
    found = headroom([arms(True, True), arms(True, False), arms(False, False)])
    assert found["tau"] == wilson(2, 3)
    assert found["tau_recall"] == wilson(1, 3)


def test_a_sampling_generator_is_measured_net_of_its_own_luck() -> None:
    sampled: dict[Arm, ArmOutcome] = {
        "r": ArmOutcome(1, 3, deterministic=False),
        "g": ArmOutcome(3, 3, deterministic=False),
    }
    found = headroom([sampled] * 5)
    assert found["tau"].value == pytest.approx((3.5 - 1.5) / 4)


def test_without_failures_it_is_undefined_with_its_reason() -> None:
    assert headroom([])["tau"].reason == "no failure was replayed"
