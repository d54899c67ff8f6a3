"""What the verdicts over one scope add up to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragdiag.diagnosis.headroom import (
    Failure,
    bounds_without_replay,
    headroom,
    headroom_by_slice,
    tell_headroom,
)
from ragdiag.metrics.question_slices import SliceKind
from ragdiag.records import (
    Arm,
    Cause,
    Diagnosis,
    Estimate,
    Request,
    SecondLevel,
    Tier,
    Verdict,
    Weighed,
)
from ragdiag.stats.intervals import rate_bounds_with_unknown, wilson
from ragdiag.stats.weighted import weighted_rate
from ragdiag.store.corpus import load_gold_answers
from ragdiag.store.deciding import load_deciding
from ragdiag.store.findings import load_diagnoses, load_weights
from ragdiag.store.lake import Lake
from ragdiag.version import LoggedVersion, Version
from ragdiag.workflows.comparing.compare_words import interval
from ragdiag.workflows.comparing.sliced_questions import SliceRate, failure_rates, load_slices
from ragdiag.workflows.diagnosing.contradictions import contradicting_gold, contradiction_lines

SHARED_OUT = {
    "tau_net": "right with gold alone, less what asking again gives",
    "phi_R": "what perfect retrieval adds (Shapley)",
    "phi_G": "what the stronger generator adds (Shapley)",
}


@dataclass(frozen=True)
class DiagnosisSummary:
    """The grades and the verdicts over one scope.

    ``failures``, ``ungraded``, ``failed`` and ``failing`` (how many of each kind of question fail)
    count every request by its grade: ``failed`` is the rate over graded requests,
    ``failed_bounds`` that over all if every ungraded one were right, and if every one were wrong.
    Of ``sampled`` requests the log has kept a share: in these rates each counts for as many as it
    stands for, and everything else is of what was logged.
    Causes, verdicts and headroom are those of the ``diagnosed`` failures; ``slices`` is τ by kind
    of slice and its name, ``tiers`` counts the verdicts on failures, and on ungraded requests, by
    the tier of their evidence. ``contradicting`` are questions of which two accepted answers
    cannot both be right, with those two. ``failed_arms`` counts by arm the requests for which the
    generator failed on it: the next run asks again; ``varied_arms`` those for which it gave the arm
    different answers. ``calls`` and ``cost_usd`` are what this run asked and spent; ``left``
    requests have no verdict because its budget was spent. ``snapshot`` is the state of the lake
    that was read.
    """

    version: Version | LoggedVersion
    n: int
    failures: int
    diagnosed: int
    causes: Mapping[Cause, int]
    verdicts: Mapping[Verdict, int]
    second_levels: Mapping[SecondLevel, int]
    fixes: Mapping[str, int]
    undetermined: Estimate
    headroom: Mapping[str, Estimate]
    slices: Mapping[SliceKind, Mapping[str, Estimate]]
    tiers: Mapping[Tier, Mapping[Verdict, int]]
    ungraded: int
    failed: Estimate
    failed_bounds: tuple[float, float]
    snapshot: int
    failing: Sequence[SliceRate] = ()
    contradicting: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    failed_arms: Mapping[Arm, int] = field(default_factory=dict)
    varied_arms: Mapping[Arm, int] = field(default_factory=dict)
    sampled: int = 0
    calls: int = 0
    cost_usd: float = 0.0
    left: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version.name,
            "n": self.n,
            "failures": self.failures,
            "diagnosed": self.diagnosed,
            "causes": dict(self.causes),
            "verdicts": dict(self.verdicts),
            "second_levels": dict(self.second_levels),
            "verified_fixes": dict(self.fixes),
            "undetermined": self.undetermined.to_json(),
            "headroom": {name: value.to_json() for name, value in self.headroom.items()},
            "headroom_by": {
                kind: {name: value.to_json() for name, value in found.items()}
                for kind, found in self.slices.items()
            },
            "failure_rate_by_slice": [
                {"kind": one.kind, "name": one.name, **one.failures.to_json()}
                for one in self.failing
            ],
            "tiers": {tier: dict(counts) for tier, counts in self.tiers.items()},
            "ungraded": self.ungraded,
            "failed": self.failed.to_json(),
            "failed_bounds": [None if math.isnan(bound) else bound for bound in self.failed_bounds],
            "contradicting_gold": {name: list(two) for name, two in self.contradicting.items()},
            "snapshot": self.snapshot,
            **({"failed_arms": dict(self.failed_arms)} if self.failed_arms else {}),
            **({"varied_arms": dict(self.varied_arms)} if self.varied_arms else {}),
            **({"sampled": self.sampled} if self.sampled else {}),
            **({"left": self.left} if self.left else {}),
        }

    def to_text(self) -> str:
        low, high = self.failed_bounds
        unknown = (
            f"; {self.ungraded} could not be graded: {low:.1%} to {high:.1%} of all failed"
            if self.ungraded
            else ""
        )
        lines = [f"{self.failures} of {self.n} requests failed{unknown}"]
        if self.sampled and self.failed.n:
            lines.append(f"{self.sampled} were sampled: of all requests {_told(self.failed)}")
        if self.diagnosed < self.failures:
            lines.append(f"{self.diagnosed} of {self.failures} failures diagnosed")
        for title, counts in (
            ("verdict", self.verdicts),
            ("lost at", self.causes),
            ("because", self.second_levels),
            ("mended by", self.fixes),
        ):
            ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            lines += [f"{title:10} {name:20} {count}" for name, count in ordered]
        for tier, found in self.tiers.items():
            listed = ", ".join(f"{count} {verdict}" for verdict, count in found.items())
            lines.append(f"{'tier ' + tier:10} {listed}")
        told = tell_headroom(self.headroom)
        bounds = self.headroom["tau_bounds"]
        if told is not None:
            lines.append(told)
        elif not math.isnan(bounds.low):
            lines.append(f"perfect retrieval would fix {bounds.low:.0%} to {bounds.high:.0%}")
        lines += [
            f"{name:10} {interval(one)}, n = {one.n}: {meaning}"
            for name, meaning in SHARED_OUT.items()
            if (one := self.headroom.get(name)) is not None and not math.isnan(one.value)
        ]
        lines += [f"by {one.kind:7} {one.name:30} {_told(one.failures)}" for one in self.failing]
        lines += contradiction_lines(self.contradicting)
        if self.calls:
            spent = f", {self.cost_usd:.4f} US$" if self.cost_usd else ""
            lines.append(f"asked {self.calls} times{spent}; what was known was not asked again")
        if self.failed_arms:
            arms = _listed(self.failed_arms)
            lines.append(f"the generator failed on {arms}: run again to ask it anew")
        if self.varied_arms:
            arms = _listed(self.varied_arms)
            lines.append(f"the generator gave different answers to {arms}: drawn several times")
        if self.left:
            lines.append(f"the budget is spent: {self.left} requests left; run again to go on")
        lines.append(f"read from snapshot {self.snapshot}")
        return "\n".join(lines)


def summarise(
    lake: Lake,
    version: Version | LoggedVersion,
    requests: Sequence[Request],
    *,
    gold_accuracy: float | None = None,
) -> DiagnosisSummary:
    """Count what the store holds about ``requests``. ``gold_accuracy`` (0 … 1) is how often the
    generator is right on gold context, measured elsewhere: it bounds τ where nothing was
    replayed."""
    by_id = {request.request_id: request for request in requests}
    deciding = load_deciding(lake, list(by_id))
    ys = {name: deciding[name].y if name in deciding else None for name in by_id}
    weights = load_weights(lake, list(by_id))
    right, wrong, ungraded = (
        Weighed.counted([weights[name] for name, y in ys.items() if y == said])
        for said in (1, 0, None)
    )
    outcomes = [
        (request.question_id, y == 1, weights[request.request_id])
        for request in requests
        if request.question_id and (y := ys[request.request_id]) is not None
    ]
    diagnoses = load_diagnoses(lake, list(by_id))
    failed = [found for name, found in diagnoses.items() if ys[name] == 0]
    unknown = [found for name, found in diagnoses.items() if ys[name] is None]
    # What nobody may find for this asker is not for retrieval to mend.
    failures = [
        _failure(found, by_id[found.request_id])
        for found in failed
        if found.cause != "gold_withheld"
    ]
    verdicts = Counter(found.verdict for found in failed)
    measured = headroom(failures)
    graded = right + wrong
    slices = load_slices(lake) if outcomes else {}
    worst, best = rate_bounds_with_unknown(right.weighted, graded.weighted, ungraded.weighted)
    if gold_accuracy is not None and graded.plain and math.isnan(measured["tau"].value):
        low, high = bounds_without_replay(right.weighted / graded.weighted, gold_accuracy)
        reason = "bounds: nothing was replayed"
        measured["tau_bounds"] = Estimate(math.nan, low, high, int(graded.plain), reason)
    return DiagnosisSummary(
        version=version,
        n=len(requests),
        failures=int(wrong.plain),
        diagnosed=len(failed),
        causes=Counter(found.cause for found in failed),
        verdicts=verdicts,
        second_levels=Counter(
            found.second_level for found in failed if found.second_level is not None
        ),
        fixes=Counter(found.verified_fix for found in failed if found.verified_fix),
        undetermined=wilson(verdicts["undetermined"], len(failed)),
        headroom=measured,
        slices=headroom_by_slice(failures, slices),
        tiers=_by_tier([*failed, *unknown]),
        ungraded=int(ungraded.plain),
        failed=weighted_rate(wrong, graded),
        failed_bounds=(1 - best, 1 - worst),
        snapshot=lake.snapshot(),
        failing=failure_rates(slices, outcomes),
        contradicting=contradicting_gold(
            load_gold_answers(lake), {one.question_id for one in requests if one.question_id}
        ),
        failed_arms=_count_arms(diagnoses.values(), "failed_arms"),
        varied_arms=_count_arms(diagnoses.values(), "varied_arms"),
        sampled=sum(weight != 1 for weight in weights.values()),
    )


def _count_arms(diagnoses: Iterable[Diagnosis], name: str) -> Counter[Arm]:
    return Counter(arm for found in diagnoses for arm in found.evidence.get(name, ()))


def _told(rate: Estimate) -> str:
    return f"{rate.value:.1%} fail ({rate.low:.1%}–{rate.high:.1%}, n = {rate.n})"


def _listed(arms: Mapping[Arm, int]) -> str:
    return ", ".join(f"{arm} ({count})" for arm, count in arms.items())


def _by_tier(diagnoses: Sequence[Diagnosis]) -> dict[Tier, dict[Verdict, int]]:
    """Tier → verdict → count, the best evidence first."""
    counts: dict[Tier, Counter[Verdict]] = {}
    for found in sorted(diagnoses, key=lambda one: (one.tier, one.verdict)):
        counts.setdefault(found.tier, Counter())[found.verdict] += 1
    return {tier: dict(counted) for tier, counted in counts.items()}


def _failure(found: Diagnosis, request: Request) -> Failure:
    return Failure.of(found.evidence, request.topic, request.question_id)
