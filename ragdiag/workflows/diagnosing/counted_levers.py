"""What people mend: missing documents, passages not indexed yet, labels that look wrong."""

from __future__ import annotations

from collections.abc import Sequence

from ragdiag.diagnosis.levers import Lever, WorkRates, counted_gain
from ragdiag.records import Diagnosis
from ragdiag.stats.intervals import wilson


def counted_levers(
    diagnoses: Sequence[Diagnosis], rates: WorkRates, version: str, split: str
) -> list[Lever]:
    """By how many questions wait for each. A question whose gold the corpus has by now waits for
    an index, any other without gold in the build for a document."""
    n = len(diagnoses)
    lost = [one for one in diagnoses if one.verdict == "corpus"]
    stale = sum(one.second_level == "stale" for one in lost)
    suspect = sum(one.verdict == "label_suspect" for one in diagnoses)
    reached = [one for one in diagnoses if one.cause == "in_context"]
    graded = [one.evidence.get("y") for one in reached if one.evidence.get("y") is not None]
    right = wilson(sum(y == 1 for y in graded), len(graded))
    as_right = (
        f"answers are right {right.value:.0%} of the time ({right.low:.0%} to {right.high:.0%}, "
        f"n = {right.n}) once gold is in the prompt"
    )
    triage = f"Triage, version {version}, verdict"
    levers = []
    if missing := len(lost) - stale:
        levers.append(
            Lever(
                f"add what {missing} questions ask for",
                ("corpus_gap",),
                "counted",
                counted_gain(missing, n, right),
                missing * rates.document,
                f"the questions: {triage} corpus; then: ragdiag import corpus PATH --rebuild",
                note=as_right,
            )
        )
    if stale:
        levers.append(
            Lever(
                f"index what {stale} questions ask for",
                ("corpus_gap",),
                "counted",
                counted_gain(stale, n, right),
                rates.setting,
                f"ragdiag index build {version}",
                note=f"the corpus has it, the build that served does not; {as_right}",
            )
        )
    if suspect:
        levers.append(
            Lever(
                f"mend {suspect} suspect labels",
                ("label_suspect",),
                "ceiling",
                wilson(suspect, n),
                suspect * rates.label,
                f"the labels: {triage} label_suspect; then: ragdiag import gold PATH, and "
                f"ragdiag diagnose {version} --split {split}",
                note="a bound, if every one of these answers is right by its mended label; it "
                "mends the measure, not an answer",
            )
        )
    return levers
