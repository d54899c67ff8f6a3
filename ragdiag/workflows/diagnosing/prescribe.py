"""What would mend a version's failures, what each lever brings and costs, by its own questions."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragdiag.configuration import read_configuration
from ragdiag.diagnosis.budget import Price
from ragdiag.diagnosis.levers import (
    UNCURED,
    Lever,
    WorkRates,
    count_faults,
    cures,
    first_step,
    rank_levers,
)
from ragdiag.diagnosis.tried_settings import Setting
from ragdiag.drift.costs import Spending, spending
from ragdiag.errors import InputError
from ragdiag.progress import Progress
from ragdiag.question_clusters import load_clusters
from ragdiag.records import Estimate, Request
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_gold_answers, load_judgments
from ragdiag.store.findings import load_diagnoses
from ragdiag.store.lake import Lake
from ragdiag.store.prescriptions import save_prescription
from ragdiag.store.queries import Filters
from ragdiag.version import Version
from ragdiag.workflows.comparing.compare_words import interval
from ragdiag.workflows.comparing.pairing import latest_requests
from ragdiag.workflows.comparing.power_plan import plan_questions
from ragdiag.workflows.diagnosing.checklist import Check, checklist
from ragdiag.workflows.diagnosing.counted_levers import counted_levers
from ragdiag.workflows.diagnosing.lever_costs import Prices
from ragdiag.workflows.diagnosing.trained_levers import training_levers
from ragdiag.workflows.diagnosing.trials import Trial
from ragdiag.workflows.diagnosing.tried_levers import tried_levers
from ragdiag.workflows.diagnosing.what_if import WhatIf

SAMPLE = 100


@dataclass(frozen=True)
class Prescription:
    """``levers`` are ranked; ``n`` questions were looked at, ``sampled`` of them answered again
    under each setting. ``faults`` counts the failures by what levers mend."""

    version: Version
    split: str
    n: int
    sampled: int
    levers: tuple[Lever, ...]
    checks: tuple[Check, ...]
    faults: Mapping[str, int] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        return first_step(self.levers)

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version.name,
            "split": self.split,
            "n": self.n,
            "sampled": self.sampled,
            "sentence": self.sentence,
            "levers": [lever.to_json() for lever in self.levers],
            "faults": [
                {
                    "fault": fault,
                    "n": n,
                    "levers": [lever.name for lever in cures(self.levers, fault)],
                }
                for fault, n in self.faults.items()
            ],
            "checklist": [check.to_json() for check in self.checks],
        }

    def to_text(self) -> str:
        return "\n".join(
            [
                self.sentence,
                *(_lever_text(lever) for lever in self.levers),
                *(_fault_text(fault, n, self.levers) for fault, n in self.faults.items()),
                *(f"{check.name}: {check.answer}" for check in self.checks),
            ]
        )


def prescribe(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    split: str,
    *,
    sample: int = SAMPLE,
    rates: WorkRates | None = None,
    own: Setting | None = None,
    most_recut: int | None = None,
    slo_ms: float = 200.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Prescription:
    """Weigh every lever, with the reader's ``own`` setting, by the latest evaluation of ``split``,
    and keep what came of it. ``most_recut`` is how many passages are cut to other sizes and indexed
    again unasked (recut.py).

    Raises UnknownName where there is none, InputError where it is not diagnosed or ``own`` cannot
    be tried, IndexFault where the build that served is gone.
    """
    rates = rates or WorkRates()
    judgments, golds = load_judgments(lake, split), load_gold_answers(lake)
    requests = _of_one_build(latest_requests(lake, version, split))
    diagnoses = load_diagnoses(lake, [request.request_id for request in requests])
    if len(diagnoses) < len(requests):
        raise InputError(
            f"{len(requests) - len(diagnoses)} of {len(requests)} requests are not diagnosed",
            remedy=f"run: ragdiag diagnose {version.name} --split {split}",
        )
    drawn = random.Random(seed).sample(requests, min(sample, len(requests)))
    to_answer = {request.request_id for request in drawn}
    what_if = WhatIf(lake, workspace, version.spec, requests[0].build_id, judgments, golds)
    words = {request.question_id or "": request.question for request in requests}
    clusters = load_clusters(lake, words, judgments)
    owners = [clusters[request.question_id or ""] for request in requests]
    usd_per_hour = read_configuration(workspace).costs.machine_usd_per_hour
    prices = Prices(Price.of(version.spec.generator) is not None, usd_per_hour)
    trial = Trial(version.spec, requests, owners, to_answer, judgments, rates, prices, most_recut)
    told = [diagnoses[request.request_id] for request in requests]
    levers = rank_levers(
        [
            *tried_levers(what_if, trial, workspace, own, progress),
            *counted_levers(told, owners, rates, version.name, split),
            *training_levers(lake, version, told, owners, rates, prices),
        ]
    )
    found = Prescription(
        version=version,
        split=split,
        n=len(requests),
        sampled=len(to_answer),
        levers=tuple(levers),
        checks=tuple(
            checklist(
                requests,
                judgments,
                needed_to_pass=_needed_to_pass(lake, version, split),
                slo_ms=slo_ms,
                spent=_spent(lake, version, usd_per_hour),
                levers=levers,
            )
        ),
        faults=count_faults(told),
    )
    save_prescription(lake, version.version_id, split, found.to_json())
    return found


def _lever_text(lever: Lever) -> str:
    gain, ms, usd = lever.gain, lever.slower.value, lever.dearer.value
    told = f"undefined: {gain.reason}"
    if not math.isnan(gain.value):
        told = f"{interval(gain)}, n = {gain.n}"
    slower = "" if math.isnan(ms) else _added(lever.slower, "ms")
    dearer = "" if math.isnan(usd) else f"  {_added(lever.dearer, 'USD a million')}"
    ranks = lever.ranking_gain
    parts = [lever.action, lever.note]
    if not math.isnan(ranks.value):
        parts.append(f"MRR@10 {interval(ranks)}, n = {ranks.n}")
    return (
        f"{lever.name:38} {lever.basis:9} {told:36} {slower:>8}{dearer}  "
        f"{lever.work_minutes:5.0f} min  {'; '.join(part for part in parts if part)}"
    )


def _added(found: Estimate, unit: str) -> str:
    bounds = f"{found.low:+z,.1f} to {found.high:+z,.1f}"
    if math.isnan(found.low):
        bounds = found.reason or "no interval"
    return f"{found.value:+z,.1f} {unit} ({bounds}, n = {found.n})"


def _fault_text(fault: str, n: int, levers: Sequence[Lever]) -> str:
    names = [lever.name for lever in cures(levers, fault)]
    return f"{fault}, {n}: {'; '.join(names) or UNCURED.get(fault, 'no lever is known')}"


def _spent(lake: Lake, version: Version, usd_per_hour: float) -> Spending | None:
    """Of production where the version serves, else of evaluations."""
    for traffic in ("production", "evaluation"):
        filters = Filters(traffic=traffic, version_id=version.version_id)
        if found := spending(lake, filters, usd_per_hour):
            return found[0]
    return None


def _needed_to_pass(lake: Lake, version: Version, split: str) -> int | None:
    try:
        return plan_questions(lake, version, split=split).to_pass
    except InputError:  # nothing is found, so nothing can be planned
        return None


def _of_one_build(latest: Mapping[str, Request]) -> list[Request]:
    """Those of the build that served last: lists of several indexes cannot be compared."""
    ordered = sorted(latest.values(), key=lambda one: (one.asked_at, one.request_id))
    return [one for one in ordered if one.build_id == ordered[-1].build_id]
