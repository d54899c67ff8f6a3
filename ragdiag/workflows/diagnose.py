"""Grade, locate and replay a version's requests, and keep a verdict with its evidence for each.

Resumable: work is saved every BATCH requests or SAVE_EVERY_S seconds, and a request that has a
verdict is not replayed again unless asked for.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ragdiag.diagnosis.headroom import headroom
from ragdiag.diagnosis.replay import outcomes
from ragdiag.errors import UnknownName
from ragdiag.progress import Progress, report
from ragdiag.records import (
    Answer,
    Cause,
    Diagnosis,
    Estimate,
    Grade,
    Replay,
    Request,
    Tier,
    Traffic,
    Verdict,
)
from ragdiag.settings import Workspace
from ragdiag.stats.intervals import rate_bounds_with_unknown, wilson
from ragdiag.store.corpus import load_judgments
from ragdiag.store.findings import load_diagnoses, load_replays
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests, save_findings
from ragdiag.version import LoggedVersion, Version
from ragdiag.workflows.bench import Bench

BATCH = 100
SAVE_EVERY_S = 10.0

Examined = tuple[Grade, Diagnosis, list[Replay]]


@dataclass(frozen=True)
class DiagnosisSummary:
    """The verdicts over one scope; counts are over failed requests.

    ``tiers`` counts the verdicts on failures, and on requests that nobody could grade, by the tier
    of their evidence. ``failed`` is the rate over graded requests, ``failed_bounds`` that over all
    if every ungraded one were right, and if every one were wrong.
    """

    version: Version | LoggedVersion
    n: int
    failures: int
    causes: Mapping[Cause, int]
    verdicts: Mapping[Verdict, int]
    fixes: Mapping[str, int]
    undetermined: Estimate
    headroom: Mapping[str, Estimate]
    tiers: Mapping[Tier, Mapping[Verdict, int]]
    ungraded: int
    failed: Estimate
    failed_bounds: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version.name,
            "n": self.n,
            "failures": self.failures,
            "causes": dict(self.causes),
            "verdicts": dict(self.verdicts),
            "verified_fixes": dict(self.fixes),
            "undetermined": self.undetermined.to_json(),
            "headroom": {name: value.to_json() for name, value in self.headroom.items()},
            "tiers": {tier: dict(counts) for tier, counts in self.tiers.items()},
            "ungraded": self.ungraded,
            "failed": self.failed.to_json(),
            "failed_bounds": [None if bound != bound else bound for bound in self.failed_bounds],
        }

    def to_text(self) -> str:
        low, high = self.failed_bounds
        unknown = (
            f"; {self.ungraded} could not be graded: {low:.1%} to {high:.1%} of all failed"
            if self.ungraded
            else ""
        )
        lines = [f"{self.failures} of {self.n} requests failed{unknown}"]
        for title, counts in (
            ("verdict", self.verdicts),
            ("lost at", self.causes),
            ("mended by", self.fixes),
        ):
            ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            lines += [f"{title:10} {name:20} {count}" for name, count in ordered]
        for tier, counts in self.tiers.items():
            told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
            lines.append(f"{'tier ' + tier:10} {told}")
        tau = self.headroom["tau"]
        if tau.reason is None:
            lines.append(
                f"perfect retrieval would mend {tau.value:.1%} of the failures"
                f" ({tau.low:.1%}–{tau.high:.1%}, n = {tau.n})"
            )
        return "\n".join(lines)


def diagnose(
    lake: Lake,
    workspace: Workspace,
    version: Version | LoggedVersion,
    *,
    split: str | None = None,
    traffic: Traffic | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    again: bool = False,
    progress: Progress | None = None,
) -> DiagnosisSummary:
    """Diagnose the latest evaluation of ``split``, else one ``traffic`` (production) of a window.

    Raises UnknownName where the scope holds no request.
    """
    requests = requests_in_scope(lake, version, split, traffic, since, until)
    done = set() if again else set(load_diagnoses(lake, [r.request_id for r in requests]))
    todo = [request for request in requests if request.request_id not in done]
    bench = Bench(lake, workspace, version)
    report(progress, 0.0, f"{len(todo)} requests to diagnose, {len(done)} done before")
    batch: list[Examined] = []
    saved = time.monotonic()
    for finished, request in enumerate(todo, start=1):
        batch.append(_diagnose(bench, request))
        is_due = len(batch) == BATCH or time.monotonic() - saved >= SAVE_EVERY_S
        if is_due or finished == len(todo):
            _save(lake, batch)
            batch, saved = [], time.monotonic()
            report(progress, finished / len(todo), f"diagnosed {finished} of {len(todo)}")
    return summarise(lake, version, requests)


def summarise(
    lake: Lake, version: Version | LoggedVersion, requests: Sequence[Request]
) -> DiagnosisSummary:
    """Count what the store holds about ``requests``."""
    request_ids = [request.request_id for request in requests]
    diagnoses = load_diagnoses(lake, request_ids)
    failed = [found for found in diagnoses.values() if found.evidence.get("y") == 0]
    replays = load_replays(lake, [found.request_id for found in failed])
    verdicts = Counter(found.verdict for found in failed)
    ungraded = [found for found in diagnoses.values() if found.evidence.get("y") is None]
    known = len(diagnoses) - len(ungraded)
    right = known - len(failed)
    worst, best = rate_bounds_with_unknown(right, known, len(ungraded))
    return DiagnosisSummary(
        version=version,
        n=len(requests),
        failures=len(failed),
        causes=Counter(found.cause for found in failed),
        verdicts=verdicts,
        fixes=Counter(found.verified_fix for found in failed if found.verified_fix),
        undetermined=wilson(verdicts["undetermined"], len(failed)),
        headroom=headroom([outcomes(draws) for draws in replays.values()]),
        tiers=_by_tier([*failed, *ungraded]),
        ungraded=len(ungraded),
        failed=wilson(len(failed), known),
        failed_bounds=(1 - best, 1 - worst),
    )


def _by_tier(diagnoses: Sequence[Diagnosis]) -> dict[Tier, dict[Verdict, int]]:
    """Tier → verdict → count, the best evidence first."""
    counts: dict[Tier, Counter[Verdict]] = {}
    for found in sorted(diagnoses, key=lambda one: (one.tier, one.verdict)):
        counts.setdefault(found.tier, Counter())[found.verdict] += 1
    return {tier: dict(counted) for tier, counted in counts.items()}


def requests_in_scope(
    lake: Lake,
    version: Version | LoggedVersion,
    split: str | None,
    traffic: Traffic | None,
    since: datetime | None,
    until: datetime | None,
) -> list[Request]:
    """The latest evaluation of ``split``, else one ``traffic`` (production) of a window.

    Raises UnknownName where there is no request.
    """
    asked = load_requests(
        lake,
        version_id=version.version_id,
        traffic=traffic or ("production" if split is None else "evaluation"),
        since=since,
        until=until,
        question_ids=None if split is None else list(load_judgments(lake, split)),
    )
    if split is not None:
        latest = {r.question_id: r for r in sorted(asked, key=lambda request: request.asked_at)}
        asked = list(latest.values())
    if not asked:
        kind = traffic or "production"
        where = f"evaluation of split {split!r}" if split else f"{kind} traffic in that window"
        raise UnknownName(f"version {version.name} has no {where}", remedy=_remedy(version, split))
    return asked


def _remedy(version: Version | LoggedVersion, split: str | None) -> str:
    if version.spec is None:
        return "name the traffic that its log has, with --traffic"
    return f"run: ragdiag evaluate {version.name} --split {split or 'SPLIT'}"


def _diagnose(bench: Bench, request: Request) -> Examined:
    grade = bench.grade(request, Answer(request.answer, status=request.status))
    return grade, *bench.examine(request, grade)


def _save(lake: Lake, batch: Sequence[Examined]) -> None:
    grades = [grade for grade, _, _ in batch]
    draws = [draw for _, _, drawn in batch for draw in drawn]
    save_findings(
        lake,
        grades=grades,
        replays=draws,
        diagnoses=[diagnosis for _, diagnosis, _ in batch],
    )
