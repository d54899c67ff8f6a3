"""How fine-tuning runs stand: what the registry says, who works on them, what waits for whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ragdiag.errors import TrainingError
from ragdiag.records import DeploymentEvent
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import RunKind, TrainingRun, list_runs
from ragdiag.training.recording import Standing, standing_of
from ragdiag.training.runs import RunFacts, facts_of
from ragdiag.version import Version


@dataclass(frozen=True, slots=True)
class KnownRun:
    """One run. ``facts`` is None where they cannot be read, and ``fault`` says why. ``waits``: its
    gate passed and its version has never been tried beside production."""

    run_id: str
    kind: RunKind
    standing: Standing
    recorded_at: datetime | None
    facts: RunFacts | None
    fault: str | None
    waits: bool


def describe_runs(
    workspace: Workspace, runs: Sequence[TrainingRun], events: Iterable[DeploymentEvent]
) -> list[KnownRun]:
    """The runs in the order given; ``events`` are all deployments, which say what was tried."""
    states = [event.deployment for event in events]
    tried = {v for one in states for v in (one.production, one.canary, one.shadow, one.previous)}
    found = []
    for run in runs:
        try:
            facts, fault = facts_of(run), None
        except TrainingError as error:
            facts, fault = None, str(error)
        standing = standing_of(workspace, run)
        waits = standing == "done" and _candidate(facts) not in (None, *tried)
        found.append(KnownRun(run.run_id, run.kind, standing, run.recorded_at, facts, fault, waits))
    return found


def gate_not_passed(lake: Lake, version: Version) -> str | None:
    """What came of the gate of the run that made ``version``, in words; None where it passed, or no
    run made it. One that a run trained and never judged names the run in its spec. A run whose
    facts cannot be read counts as not passed, unless another one has judged the version."""
    spec, doubt = version.spec.model_dump_json(), None
    for run in list_runs(lake):
        try:
            facts = facts_of(run)
        except TrainingError:
            if _may_have_made(run, version, spec):
                doubt = f"what came of its training run {run.run_id} cannot be read"
            continue
        made = facts.candidate
        if made is not None and made.version_id == version.version_id:
            passed = facts.gate is not None and facts.gate.decision == "pass"
            said = "open" if facts.gate is None else facts.gate.decision
            return None if passed else f"the gate of its training run {run.run_id} says {said}"
        if made is None and run.run_id in spec:
            return f"its training run {run.run_id} has not judged it"
    return doubt


def _may_have_made(run: TrainingRun, version: Version, spec: str) -> bool:
    """Of a run that cannot be read, by what is left to read of it."""
    made = run.facts.get("candidate")
    if not isinstance(made, Mapping):
        return run.run_id in spec
    return bool(made.get("version_id") == version.version_id)


def _candidate(facts: RunFacts | None) -> str | None:
    """The version that may be tried."""
    if facts is None or facts.gate is None or facts.gate.decision != "pass":
        return None
    return None if facts.candidate is None else facts.candidate.version_id
