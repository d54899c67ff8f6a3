"""What would mend a version's failures, what each lever brings and costs, by its own questions."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.diagnosis.levers import Lever, WorkRates, counted_gain, first_step, rank_levers
from ragdiag.errors import InputError
from ragdiag.progress import Progress
from ragdiag.records import Diagnosis, Request, Verdict
from ragdiag.settings import Workspace
from ragdiag.stats.intervals import wilson
from ragdiag.store.corpus import load_gold_answers, load_judgments
from ragdiag.store.findings import load_diagnoses
from ragdiag.store.lake import Lake
from ragdiag.store.prescriptions import save_prescription
from ragdiag.store.training_runs import list_runs
from ragdiag.training.runs import RunFacts, facts_of
from ragdiag.version import Version
from ragdiag.workflows.comparing.clusters import load_clusters
from ragdiag.workflows.comparing.compare import latest_requests
from ragdiag.workflows.comparing.compare_words import interval
from ragdiag.workflows.comparing.power_plan import plan_questions
from ragdiag.workflows.diagnosing.checklist import Check, checklist
from ragdiag.workflows.diagnosing.tried_levers import Trial, tried_levers
from ragdiag.workflows.diagnosing.what_if import WhatIf

SAMPLE = 100
TRAINED: Mapping[str, Verdict] = {"retriever": "retrieval", "generator": "generator"}
"""What is trained → the verdict on the failures that it may mend."""


@dataclass(frozen=True)
class Prescription:
    """``levers`` are ranked; ``n`` questions were looked at, ``sampled`` of them answered again
    under each setting."""

    version: Version
    split: str
    n: int
    sampled: int
    levers: tuple[Lever, ...]
    checks: tuple[Check, ...]

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
            "checklist": [check.to_json() for check in self.checks],
        }

    def to_text(self) -> str:
        lines = [self.sentence]
        for one in self.levers:
            gain = one.gain
            told = (
                f"{interval(gain)}, n = {gain.n}"
                if gain.value == gain.value
                else f"undefined: {gain.reason}"
            )
            slower = f"{one.added_ms:+.0f} ms" if one.added_ms == one.added_ms else ""
            lines.append(
                f"{one.name:38} {one.basis:9} {told:36} {slower:>8}  {one.work_minutes:5.0f} min"
                f"  {one.action}{'; ' + one.note if one.note else ''}"
            )
        return "\n".join([*lines, *(f"{check.name}: {check.answer}" for check in self.checks)])


def prescribe(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    split: str,
    *,
    sample: int = SAMPLE,
    rates: WorkRates | None = None,
    slo_ms: float = 200.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Prescription:
    """Weigh every lever by the latest evaluation of ``split``, and keep what came of it.

    Raises UnknownName where there is none, InputError where it is not diagnosed, IndexFault where
    the build that served is gone.
    """
    rates = rates or WorkRates()
    judgments, golds = load_judgments(lake, split), load_gold_answers(lake)
    requests = _of_one_build(latest_requests(lake, version, split, judgments))
    diagnoses = load_diagnoses(lake, [request.request_id for request in requests])
    if len(diagnoses) < len(requests):
        raise InputError(
            f"{len(requests) - len(diagnoses)} of {len(requests)} requests are not diagnosed",
            remedy=f"run: ragdiag diagnose {version.name} --split {split}",
        )
    drawn = random.Random(seed).sample(requests, min(sample, len(requests)))
    answered = {request.request_id for request in drawn}
    bench = WhatIf(lake, workspace, version.spec, requests[0].build_id, judgments, golds)
    words = {request.question_id or "": request.question for request in requests}
    clusters = load_clusters(lake, words, judgments)
    owners = [clusters[request.question_id or ""] for request in requests]
    trial = Trial(version.spec, requests, owners, answered, judgments, rates)
    found = Prescription(
        version=version,
        split=split,
        n=len(requests),
        sampled=len(answered),
        levers=tuple(
            rank_levers(
                [
                    *tried_levers(bench, trial, progress),
                    *counted_levers(list(diagnoses.values()), rates),
                    *training_levers(lake, version, list(diagnoses.values()), rates),
                ]
            )
        ),
        checks=tuple(
            checklist(
                requests,
                judgments,
                needed_to_pass=_needed_to_pass(lake, version, split),
                slo_ms=slo_ms,
            )
        ),
    )
    save_prescription(lake, version.version_id, split, found.to_json())
    return found


def counted_levers(diagnoses: Sequence[Diagnosis], rates: WorkRates) -> list[Lever]:
    """Missing documents and suspect labels, by how many questions wait for them."""
    n = len(diagnoses)
    verdicts = Counter(one.verdict for one in diagnoses)
    reached = [one for one in diagnoses if one.cause == "in_context"]
    graded = [one.evidence.get("y") for one in reached if one.evidence.get("y") is not None]
    right = wilson(sum(y == 1 for y in graded), len(graded))
    levers = []
    if missing := verdicts["corpus"]:
        levers.append(
            Lever(
                f"add what {missing} questions ask for",
                ("corpus_gap",),
                "counted",
                counted_gain(missing, n, right),
                missing * rates.document,
                "open Triage, verdict corpus; then: ragdiag import corpus, ragdiag index build",
                note=f"answers are right {right.value:.0%} of the time once gold is in the prompt",
            )
        )
    if suspect := verdicts["label_suspect"]:
        levers.append(
            Lever(
                f"mend {suspect} suspect labels",
                ("label_suspect",),
                "ceiling",
                wilson(suspect, n),
                suspect * rates.label,
                "open Triage, verdict label_suspect",
                note="mends the measure, not an answer",
            )
        )
    return levers


def training_levers(
    lake: Lake, version: Version, diagnoses: Sequence[Diagnosis], rates: WorkRates
) -> list[Lever]:
    """Fine-tuning: of a run that started from this version what it measured, else the failures that
    gold passages mend, or that they do not, as the most that it can bring."""
    n = len(diagnoses)
    verdicts = Counter(one.verdict for one in diagnoses)
    runs: dict[str, RunFacts] = {}
    for run in list_runs(lake):
        if run.state == "done" and run.kind not in runs:
            facts = facts_of(run)
            if facts.version == version.name and facts.measured:
                runs[run.kind] = facts
    levers = []
    for kind, verdict in TRAINED.items():
        waiting, ran = verdicts[verdict], runs.get(kind)
        if not waiting and ran is None:
            continue
        levers.append(
            Lever(
                f"fine-tune the {kind}",
                (verdict,),
                "ceiling",
                wilson(waiting, n),
                rates.training if ran is None else rates.setting,
                f"ragdiag tune {kind} {version.name}" if ran is None else _adopt(ran),
                note="" if ran is None else _measured(ran),
            )
        )
    return levers


def _adopt(run: RunFacts) -> str:
    if run.candidate is None:
        return "see: ragdiag tune list"
    return f"ragdiag deploy canary {run.candidate.name}"


def _measured(run: RunFacts) -> str:
    change = run.measured[0].changes[0]
    moved = change.difference
    decided = "" if run.gate is None else f", gate: {run.gate.decision}"
    return (
        f"trained already: {change.metric} {interval(moved)}, n = {moved.n}, "
        f"on {run.measured[0].name}{decided}"
    )


def _needed_to_pass(lake: Lake, version: Version, split: str) -> int | None:
    try:
        return plan_questions(lake, version, split=split).to_pass
    except InputError:  # nothing is found, so nothing can be planned
        return None


def _of_one_build(latest: Mapping[str, Request]) -> list[Request]:
    """Those of the build that served last: lists of several indexes cannot be compared."""
    ordered = sorted(latest.values(), key=lambda one: (one.asked_at, one.request_id))
    return [one for one in ordered if one.build_id == ordered[-1].build_id]
