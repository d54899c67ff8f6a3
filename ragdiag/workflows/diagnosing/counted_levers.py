"""What people mend: missing documents, passages not indexed yet, labels that look wrong."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from ragdiag.diagnosis.levers import Lever, WorkRates, counted_gain
from ragdiag.records import Diagnosis, Estimate
from ragdiag.stats.clustered_rates import clustered_rate


def counted_levers(
    diagnoses: Sequence[Diagnosis],
    owners: Sequence[Hashable],
    rates: WorkRates,
    version: str,
    split: str,
) -> list[Lever]:
    """By how many questions wait for each. A question whose gold the corpus has by now waits for
    an index, any other without gold in the build for a document. Those of one of ``owners``, in the
    order of ``diagnoses``, belong together."""
    is_stale = [one.verdict == "corpus" and one.second_level == "stale" for one in diagnoses]
    is_missing = [one.verdict == "corpus" and one.second_level != "stale" for one in diagnoses]
    is_suspect = [one.verdict == "label_suspect" for one in diagnoses]
    stale, missing, suspect = sum(is_stale), sum(is_missing), sum(is_suspect)
    right = _right_with_gold(diagnoses, owners)
    as_right = (
        f"answers are right {right.value:.0%} of the time ({_within(right)}) once gold is in the "
        "prompt"
    )
    triage = f"Triage, version {version}, verdict"
    levers = []
    if missing:
        levers.append(
            Lever(
                f"add what {missing} questions ask for",
                ("corpus_gap",),
                "counted",
                counted_gain(clustered_rate(is_missing, owners), right),
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
                counted_gain(clustered_rate(is_stale, owners), right),
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
                clustered_rate(is_suspect, owners),
                suspect * rates.label,
                f"the labels: {triage} label_suspect; then: ragdiag import gold PATH, and "
                f"ragdiag diagnose {version} --split {split}",
                note="a bound, if every one of these answers is right by its mended label; it "
                "mends the measure, not an answer",
            )
        )
    return levers


def _right_with_gold(diagnoses: Sequence[Diagnosis], owners: Sequence[Hashable]) -> Estimate:
    """Of the graded answers whose prompt had gold, the share that is right."""
    graded = [
        (float(one.evidence["y"] == 1), owner)
        for one, owner in zip(diagnoses, owners, strict=True)
        if one.cause == "in_context" and one.evidence.get("y") is not None
    ]
    return clustered_rate([y for y, _ in graded], [owner for _, owner in graded])


def _within(found: Estimate) -> str:
    bounds = f"{found.low:.0%} to {found.high:.0%}"
    return f"{found.reason if math.isnan(found.low) else bounds}, n = {found.n}"
