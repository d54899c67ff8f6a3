"""Learn on this workspace's own requests whether a context suffices, and keep what was learned."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.diagnosis.sufficiency import (
    FEATURES,
    LabelSource,
    Sufficiency,
    TooFewLabels,
    calibrate,
    label_of,
)
from ragdiag.errors import InputError
from ragdiag.progress import Progress, report
from ragdiag.question_clusters import load_clusters
from ragdiag.records import Estimate, Request, Traffic
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_judgments
from ragdiag.store.findings import load_diagnoses
from ragdiag.store.lake import Lake
from ragdiag.store.validations import save_sufficiency
from ragdiag.version import LoggedVersion, Version
from ragdiag.workflows.diagnosing.bench import Bench
from ragdiag.workflows.diagnosing.diagnose import Scope, requests_in_scope


@dataclass(frozen=True)
class SufficiencyRun:
    """What was learned on which requests; ``skipped`` had no label, or a context nobody has.

    ``labels`` counts by source; ``unlike_gold`` are those that say otherwise than whether gold was
    in the prompt.
    """

    version: str
    skipped: int
    found: Sufficiency
    labels: Mapping[LabelSource, int]
    unlike_gold: int

    def to_json(self) -> dict[str, Any]:
        told = {"version": self.version, "skipped": self.skipped, "labels": dict(self.labels)}
        return {**told, "unlike_gold": self.unlike_gold, **self.found.to_json()}

    def to_text(self) -> str:
        found, area, error = self.found, self.found.auroc, self.found.brier
        weights = ", ".join(
            f"{name} {weight:+.2f}"
            for name, weight in zip(FEATURES, found.model.weights, strict=True)
        )
        bins = "; ".join(f"{p:.2f} said, {share:.2f} found (n = {n})" for p, share, n in found.bins)
        return "\n".join(
            [
                f"{found.n} requests about {found.documents} documents, {found.positive} whose "
                f"prompt sufficed; {self.skipped} skipped",
                f"labels: {self.labels.get('answers', 0)} by answers to this prompt and to others, "
                f"{self.labels.get('gold', 0)} by whether gold was in the prompt; "
                f"{self.unlike_gold} differ from that",
                f"cross-validated AUROC {_told(area)}",
                f"Brier {_told(error)}, of the base rate {found.floor:.3f}",
                f"calibration: {bins}",
                f"weights per standard deviation: {weights}",
            ]
        )


def calibrate_sufficiency(
    lake: Lake,
    workspace: Workspace,
    version: Version | LoggedVersion,
    *,
    split: str | None = None,
    traffic: Traffic | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> SufficiencyRun:
    """Fit on the diagnosed requests of one scope whose gold is known, and keep it for tier D.

    Raises UnknownName where the scope is empty, InputError where it has too few labels.
    """
    requests = requests_in_scope(lake, version, Scope(split, traffic))
    diagnoses = load_diagnoses(lake, [request.request_id for request in requests])
    bench = Bench(lake, workspace, version)
    owners = _owners(lake, requests)
    rows, labels, documents = [], [], []
    sources: Counter[LabelSource] = Counter()
    unlike_gold = 0
    for number, request in enumerate(requests, start=1):
        diagnosis = diagnoses.get(request.request_id)
        if diagnosis is None or (label := label_of(diagnosis)) is None:
            continue
        if (features := bench.sufficiency_features(request)) is None:
            continue
        rows.append(features)
        labels.append(label.sufficient)
        sources[label.source] += 1
        unlike_gold += label.sufficient != (diagnosis.cause == "in_context")
        documents.append(owners[request.request_id])
        report(progress, number / len(requests), f"read {number} of {len(requests)} contexts")
    try:
        found = calibrate(rows, labels, documents, seed)
    except TooFewLabels as error:
        raise InputError(
            str(error), remedy=f"name a larger scope, or run: ragdiag diagnose {version.name}"
        ) from None
    save_sufficiency(lake, version.version_id, found.to_json())
    skipped = len(requests) - len(labels)
    return SufficiencyRun(version.name, skipped, found, sources, unlike_gold)


def _owners(lake: Lake, requests: Sequence[Request]) -> dict[str, str]:
    """Request → the document of its gold (clusters.py), else its question's words: a question that
    users repeat is one."""
    names = {one.request_id: one.question_id or one.request_id for one in requests}
    words = {names[one.request_id]: one.question for one in requests}
    clusters = load_clusters(lake, words, load_judgments(lake))
    return {request: clusters[question] for request, question in names.items()}


def _told(found: Estimate) -> str:
    within = f"{found.low:.3f}–{found.high:.3f}"
    return f"{found.value:.3f} ({found.reason if math.isnan(found.low) else within})"
