"""The week's sentences."""

from __future__ import annotations

from dataclasses import replace

from ragdiag.drift.faults import FaultShare, Growth
from ragdiag.drift.mix import Mix
from ragdiag.drift.weekly import Change
from ragdiag.records import Estimate
from ragdiag.ui.headline import headlines, nothing_changed, nothing_failed

BEFORE, AFTER = Estimate(0.61, 0.55, 0.66, 310), Estimate(0.48, 0.42, 0.54, 300)
FELL = Change("correct", BEFORE, AFTER, Estimate(-0.13, -0.19, -0.07, 610), "worse")
FASTER = Change(
    "p95", Estimate(200, 190, 220, 310), Estimate(150, 140, 160, 300), Estimate(-50, -70, -30, 610),
    "better",
)  # fmt: skip
STILL = Change("correct", BEFORE, BEFORE, Estimate(0.0, -0.05, 0.05, 620), "no evidence")


def growth(name: str, part: float) -> Growth:
    nothing = Estimate(0.0, 0.0, 0.01, 300)
    return Growth(FaultShare(name, nothing, nothing, nothing), part)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_the_sentence_of_the_brief() -> None:
    told = headlines([FASTER, FELL], growth("corpus_gap", 0.8))
    assert plain(told[0]) == (
        "Correct answers fell from 61.0 % to 48.0 % (−13.0 points, 95 % CI −19.0 to −7.0, "
        "n = 300); most of the new failures are corpus_gap (no gold passage is in the index build "
        "that served), to be mended by: corpus owner."
    )
    assert plain(told[1]).startswith("p95 latency fell from 200 ms to 150 ms")


def test_less_than_half_is_not_called_most() -> None:
    told = headlines([FELL], growth("fusion_loss", 0.4))
    assert "the largest part of the new failures are fusion_loss" in told[0]
    assert "have not been diagnosed yet" in headlines([FELL], growth("not_diagnosed", 0.9))[0]


def test_no_stage_is_blamed_for_other_questions() -> None:
    mix = Mix(Estimate(-0.1, -0.14, -0.06, 300), -0.13, "billing", 0.2, 0.5)
    (told,) = headlines([FELL], growth("corpus_gap", 0.8), mix)
    assert plain(told).endswith(
        "n = 300); other questions, not other answers, make −10.0 points (95 % CI −14.0 to −6.0): "
        "billing was 20.0 % of them and is 50.0 %."
    )
    some = replace(mix, effect=Estimate(-0.04, -0.07, -0.01, 300))
    (told,) = headlines([FELL], growth("corpus_gap", 0.8), some)
    assert "other questions, not other answers" in told
    assert "most of the new failures are corpus_gap" in told
    chance = replace(mix, effect=Estimate(-0.04, -0.09, 0.01, 300))
    assert headlines([FELL], None, chance) == headlines([FELL], None)


def test_a_quiet_week_is_said_with_its_interval() -> None:
    assert headlines([STILL], None) == []
    assert "Nothing changed beyond chance" in nothing_changed([STILL])
    assert "−5.0 to +5.0" in nothing_changed([STILL])


def test_a_week_without_grades_is_not_called_quiet() -> None:
    nothing = Estimate.undefined("no rows")
    ungraded = Change("correct", nothing, nothing, nothing, "unknown")
    assert "No answer of this week has been graded" in nothing_changed([ungraded])
    first = Change("correct", nothing, AFTER, nothing, "unknown")
    assert "no earlier week" in nothing_changed([first])


def test_no_fault_is_not_said_of_weeks_without_grades() -> None:
    nothing = Estimate.undefined("no rows")
    ungraded = Change("correct", nothing, nothing, nothing, "unknown")
    assert "No answer of these two weeks has been graded" in nothing_failed([ungraded])
    assert nothing_failed([STILL]) == "No graded answer failed in these two weeks."
