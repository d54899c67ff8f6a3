"""Grade, locate and replay a version's requests, and keep a verdict with its evidence for each.

Resumable: work is saved every BATCH requests or SAVE_EVERY_S seconds, a request that has a verdict
is not replayed again unless asked for, or its answer counts otherwise by now, or its question has
other gold, or the generator failed on an arm of it; and an answer that was drawn before is not
asked for again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ragdiag.errors import UnknownName
from ragdiag.progress import Progress, report
from ragdiag.records import Diagnosis, Grade, Replay, Request, Traffic
from ragdiag.settings import Workspace
from ragdiag.store.deciding import load_deciding, overrule
from ragdiag.store.findings import load_diagnoses
from ragdiag.store.judgments import load_members
from ragdiag.store.lake import Lake
from ragdiag.store.queries import evaluated
from ragdiag.store.results import load_requests, pruned_times, save_findings
from ragdiag.version import LoggedVersion, Version
from ragdiag.workflows.diagnosing.bench import Bench
from ragdiag.workflows.diagnosing.replays import (
    NO_LIMITS,
    NOTHING_TO_ASK,
    Limits,
    ReplayPlan,
    Replays,
)
from ragdiag.workflows.diagnosing.summary import DiagnosisSummary, summarise

BATCH = 100
SAVE_EVERY_S = 10.0

Examined = tuple[Grade, Diagnosis | None, list[Replay]]


@dataclass(frozen=True, slots=True)
class Scope:
    """The latest evaluation of ``split``, else one ``traffic`` (production) of a window; ``again``
    also what has a verdict, unless its build was pruned."""

    split: str | None = None
    traffic: Traffic | None = None
    since: datetime | None = None
    until: datetime | None = None
    again: bool = False


@dataclass(frozen=True)
class DiagnosisRun:
    """What there is to diagnose, opened: nothing was asked of a generator yet. ``deciding`` grades
    are those whose word counted when it was opened."""

    lake: Lake
    version: Version | LoggedVersion
    requests: Sequence[Request]
    todo: Sequence[Request]
    bench: Bench
    replays: Replays | None
    deciding: Mapping[str, Grade]

    @property
    def is_priced(self) -> bool:
        return self.replays is not None and self.replays.is_priced

    def is_failure(self, request: Request) -> bool:
        """Whether its answer counts as wrong."""
        return self._decide(request, self._grade(request)).y == 0

    def plan(self) -> ReplayPlan:
        """What replaying would ask and cost."""
        if self.replays is None:
            return NOTHING_TO_ASK
        jobs = (
            self.bench.job(self.bench.look_at(one, self._decide(one, self._grade(one))))
            for one in self.todo
        )
        return self.replays.plan(job for job in jobs if job is not None)

    def diagnose(
        self, progress: Progress | None = None, gold_accuracy: float | None = None
    ) -> DiagnosisSummary:
        """Raises GeneratorDown; what was found until then is kept."""
        done = len(self.requests) - len(self.todo)
        report(progress, 0.0, f"{len(self.todo)} requests to diagnose, {done} done before")
        left = self._work(progress)
        found = summarise(self.lake, self.version, self.requests, gold_accuracy=gold_accuracy)
        if self.replays is None:
            return found
        budget = self.replays.budget
        return replace(found, calls=budget.calls, cost_usd=budget.cost_usd, left=left)

    def _work(self, progress: Progress | None) -> int:
        """How many requests were left when the budget was spent."""
        batch: list[Examined] = []
        saved, total, left = time.monotonic(), len(self.todo), 0
        try:
            for finished, request in enumerate(self.todo, start=1):
                batch.append(examined := self._examine(request))
                # Those whose answers are known, or need none, can still be told.
                left += examined[1] is None
                is_due = len(batch) == BATCH or time.monotonic() - saved >= SAVE_EVERY_S
                if is_due or finished == total:
                    _save(self.lake, batch)
                    batch, saved = [], time.monotonic()
                    report(progress, finished / total, f"diagnosed {finished} of {total}")
        finally:
            _save(self.lake, batch)
        return left

    def _examine(self, request: Request) -> Examined:
        grade = self._grade(request)
        return grade, *self.bench.examine(request, self._decide(request, grade), self.replays)

    def _grade(self, request: Request) -> Grade:
        return self.bench.grade(request, request.said)

    def _decide(self, request: Request, grade: Grade) -> Grade:
        return overrule(grade, self.deciding.get(request.request_id))


def open_diagnosis(
    lake: Lake,
    workspace: Workspace,
    version: Version | LoggedVersion,
    scope: Scope,
    limits: Limits = NO_LIMITS,
) -> DiagnosisRun:
    """Find what there is to diagnose.

    Raises UnknownName where the scope holds no request, InputError as :class:`Replays`.
    """
    requests = requests_in_scope(lake, version, scope)
    ids = [request.request_id for request in requests]
    done = _diagnosed(lake, ids)
    if scope.again:  # What was replayed over a build that is gone cannot be replayed again.
        pruned = pruned_times(lake)
        done &= {request.request_id for request in requests if request.build_id in pruned}
    todo = [request for request in requests if request.request_id not in done]
    asked = {request.question for request in todo}
    replays = (
        None if version.spec is None else Replays(lake, workspace, version.spec, asked, limits)
    )
    deciding = load_deciding(lake, [request.request_id for request in todo])
    bench = Bench(lake, workspace, version)
    return DiagnosisRun(lake, version, requests, todo, bench, replays, deciding)


def read_diagnosis(
    lake: Lake,
    version: Version | LoggedVersion,
    scope: Scope,
    gold_accuracy: float | None = None,
) -> DiagnosisSummary:
    """What the verdicts that the lake has add up to; nothing is graded, replayed or asked. Raises
    UnknownName where the scope holds no request."""
    asked = requests_in_scope(lake, version, scope)
    return summarise(lake, version, asked, gold_accuracy=gold_accuracy)


def requests_in_scope(lake: Lake, version: Version | LoggedVersion, scope: Scope) -> list[Request]:
    """What ``scope`` holds, whether it has a verdict or not.

    Raises UnknownName where there is no request; of an evaluation outside the window it says when
    it was.
    """
    split, traffic = scope.split, scope.traffic

    def load(since: datetime | None = None, until: datetime | None = None) -> list[Request]:
        return load_requests(
            lake,
            version_id=version.version_id,
            traffic=traffic or ("production" if split is None else "evaluation"),
            since=since,
            until=until,
            question_ids=None if split is None else load_members(lake, split),
        )

    asked = load(scope.since, scope.until)
    if split is not None:
        latest = {r.question_id: r for r in sorted(asked, key=lambda request: request.asked_at)}
        asked = list(latest.values())
    if not asked and split is not None and (outside := load()):
        raise UnknownName(
            f"version {version.name} has no evaluation of split {split!r} within --since/--until",
            remedy=f"the latest is of {outside[-1].asked_at:%Y-%m-%d}: widen the window",
        )
    if not asked:
        kind = traffic or "production"
        where = f"evaluation of split {split!r}" if split else f"{kind} traffic in that window"
        raise UnknownName(
            f"version {version.name} has no {where}", remedy=_remedy(lake, version, split)
        )
    return asked


def _diagnosed(lake: Lake, request_ids: Sequence[str]) -> set[str]:
    """Those whose verdict is up to date and rests on all the draws it asked for."""
    found = load_diagnoses(lake, request_ids)
    return {name for name, one in found.items() if not one.evidence.get("failed_arms")}


def _remedy(lake: Lake, version: Version | LoggedVersion, split: str | None) -> str:
    # To evaluate once more would change nothing where only the split was not named.
    if split is None and (splits := evaluated(lake).get(version.version_id)):
        return f"name one of its evaluations: {' or '.join(f'--split {one}' for one in splits)}"
    if version.spec is None:
        return "name the traffic that its log has, with --traffic"
    evaluate = f"run: ragdiag evaluate {version.name} --split {split or 'SPLIT'}"
    return evaluate if split else f"{evaluate}, and name it here, too, with --split SPLIT"


def _save(lake: Lake, batch: Sequence[Examined]) -> None:
    save_findings(
        lake,
        grades=[grade for grade, _, _ in batch],
        replays=[draw for _, _, drawn in batch for draw in drawn],
        diagnoses=[found for _, found, _ in batch if found is not None],
    )
