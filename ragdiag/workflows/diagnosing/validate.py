"""How far this workspace's verdicts can be trusted: known faults, diagnosed at every tier.

Three steps that share nothing but request ids: inject (writes the record to a file), diagnose
(never opens that file), compare the two. The file can be deleted between the first two, and no
verdict changes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ragdiag.diagnosis.injection import EXPECTED, FAULTS, Fault
from ragdiag.diagnosis.sides import side_of
from ragdiag.diagnosis.trust import TIERS, TierTrust, Told, trust
from ragdiag.errors import InputError
from ragdiag.identifiers import time_ordered_id
from ragdiag.progress import Progress, part, report
from ragdiag.records import Diagnosis, Tier
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.validations import save_validation
from ragdiag.version import Version
from ragdiag.workflows.diagnosing.diagnose import Scope, requests_in_scope
from ragdiag.workflows.diagnosing.inject import Broken, Injected, Injector
from ragdiag.workflows.diagnosing.scenes import Evidence

RECORDS = "injections"
"""Folder of a workspace in which the records of what was injected are kept, apart from the lake."""

Diagnoses = Mapping[str, Mapping[Tier, Diagnosis]]
"""By request id."""


@dataclass(frozen=True)
class Validation:
    """``tried`` and ``failed`` count by fault: only what turned a success into a failure counts,
    of which ``n`` were wanted of each; a fault that was not tried breaks a part that the version
    has not. ``left_out`` counts questions by what is in doubt of their labels; ``generator`` names
    the one that answered."""

    version: str
    split: str
    successes: int
    left_out: Mapping[str, int]
    n: int
    seed: int
    tried: Mapping[Fault, int]
    failed: Mapping[Fault, int]
    tiers: Mapping[Tier, TierTrust]
    record: str
    generator: str

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "split": self.split,
            "successes": self.successes,
            "left_out": dict(self.left_out),
            "n": self.n,
            "seed": self.seed,
            "record": self.record,
            "generator": self.generator,
            "faults": {
                fault: {
                    "expected": EXPECTED[fault].verdict,
                    "what": EXPECTED[fault].what,
                    "tried": tried,
                    "failed": self.failed.get(fault, 0),
                }
                for fault, tried in self.tried.items()
            },
            "inapplicable": [fault for fault in FAULTS if fault not in self.tried],
            "tiers": {tier: one.to_json() for tier, one in self.tiers.items()},
        }


def shortfalls(found: Mapping[str, Any]) -> list[str]:
    """What a validation's document says of faults with fewer failures than were wanted, and of
    questions that were left out; one of an earlier ragdiag tells less.

    >>> rare = {"lexical_blind": {"tried": 9, "failed": 0}}
    >>> shortfalls({"faults": rare, "n": 5, "left_out": {"no gold passage supports …": 2}})
    ['lexical_blind: 0 of 9 tried questions became wrong', 'left out 2: no gold passage supports …']
    """
    wanted = found.get("n", 1)
    return [
        *(
            f"{fault}: {one['failed']} of {one['tried']} tried questions became wrong"
            for fault, one in found["faults"].items()
            if one["failed"] < wanted
        ),
        *(
            f"{fault}: not tried, since the version has not the part that it breaks"
            for fault in found.get("inapplicable", ())
        ),
        *(f"left out {count}: {reason}" for reason, count in found.get("left_out", {}).items()),
    ]


def expectations() -> list[dict[str, str]]:
    """The table fault → expected verdict, to be shown before anything runs."""
    return [{"fault": f, "expected": EXPECTED[f].verdict, "what": EXPECTED[f].what} for f in FAULTS]


def validate(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    split: str,
    *,
    n: int = 20,
    seed: int = 0,
    generator_of: Version | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Inject up to ``n`` failures of each fault into the latest evaluation of ``split``, diagnose
    them at each tier, and keep what came out. With ``generator_of`` that version's generator
    answers in place of the version's own.

    Raises UnknownName without an evaluation, InputError where no request of it succeeds.
    """
    requests = requests_in_scope(lake, version, Scope(split))
    tried = version.answered_by(generator_of, workspace.root) if generator_of else version
    injector = Injector(lake, workspace, tried, requests, part(progress, 0.0, 0.2))
    if not injector.successes:
        doubted = "".join(f"; left out {n}: {why}" for why, n in injector.left_out.items())
        raise InputError(
            f"no request of version {version.name} on split {split!r} succeeds today with "
            f"{injector.generator}{doubted}",
            remedy="only what works can be broken: name another split, or mend the version",
        )
    injected = injector.inject(n, seed, part(progress, 0.2, 0.4))
    record = write_record(workspace, injected)
    diagnoses = diagnose_broken(injected.broken, part(progress, 0.4, 1.0))
    found = compare(read_record(record), diagnoses)
    failed = {f: list(injected.record.values()).count(f) for f in injected.tried}
    validation = Validation(
        version=version.name,
        split=split,
        successes=len(injector.successes),
        left_out=injector.left_out,
        n=n,
        seed=seed,
        tried=injected.tried,
        failed=failed,
        tiers=found,
        record=f"{RECORDS}/{record.name}",
        generator=injector.generator,
    )
    save_validation(lake, tried.version_id, split, validation.to_json())
    return validation


def write_record(workspace: Workspace, injected: Injected) -> Path:
    """One JSON line for each failure: its request id and its fault; no question, no answer."""
    folder = workspace.root / RECORDS
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{time_ordered_id()}.jsonl"
    lines = [{"request_id": name, "fault": fault} for name, fault in injected.record.items()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def read_record(path: Path) -> dict[str, Fault]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {one["request_id"]: one["fault"] for one in map(json.loads, lines)}


def diagnose_broken(broken: Sequence[Broken], progress: Progress | None = None) -> Diagnoses:
    """The diagnosis of each failure at each tier, from what that tier may see."""
    found: dict[str, dict[Tier, Diagnosis]] = {}
    for number, one in enumerate(broken, start=1):
        for tier in TIERS:
            seen = withhold(one.labels, tier)
            grade = one.bench.grade(one.request, one.request.said, seen)
            diagnosis, _ = one.bench.examine(one.request, grade, one.replays, seen)
            assert diagnosis is not None, "without a budget no draw is missing"
            found.setdefault(one.request.request_id, {})[tier] = diagnosis
        report(progress, number / len(broken), f"diagnosed {number} of {len(broken)}")
    return found


def withhold(labels: Evidence, tier: Tier) -> Evidence:
    """What of ``labels`` a diagnosis of ``tier`` has; at D the user's complaint takes the place of
    the labels."""
    if tier == "A":
        return labels
    if tier == "B":
        return replace(labels, may_replay=False)
    return replace(labels, gold=(), answers=labels.answers if tier == "C" else (), may_replay=False)


def compare(record: Mapping[str, Fault], diagnoses: Diagnoses) -> dict[Tier, TierTrust]:
    """What the verdicts of each tier were worth."""
    told = [
        Told(fault, EXPECTED[fault].verdict, tier, one.verdict, side_of(one))
        for request_id, fault in record.items()
        for tier, one in diagnoses[request_id].items()
    ]
    return {tier: trust(told, tier) for tier in TIERS}


def matrix_rows(matrix: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """The confusion matrix as rows: a fault, its expected verdict, and a column for each verdict
    that was given."""
    given = sorted({verdict for row in matrix.values() for verdict in row})
    return [
        {"fault": f, "expected": EXPECTED[f].verdict, **{v: matrix[f].get(v, 0) for v in given}}
        for f in FAULTS
        if f in matrix
    ]
