"""Verdicts held against people, on failures that nobody made (METHODS.md §12).

Failures are drawn into a file that shows what a person needs to say who is to blame, and neither
cause nor verdict; the person writes a verdict into each line, and what was diagnosed meanwhile, or
is afterwards, is compared with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args

from ragdiag.diagnosis.sides import side_of
from ragdiag.diagnosis.trust import TIERS, TierTrust, Told, trust
from ragdiag.errors import InputError
from ragdiag.importers.jsonl import Identifier, Row, read_rows
from ragdiag.records import ContextPassage, Passage, Reject, Tier
from ragdiag.settings import Workspace
from ragdiag.store.findings import load_diagnoses
from ragdiag.store.lake import Lake
from ragdiag.version import LoggedVersion, Version
from ragdiag.workflows.diagnosing.bench import Bench
from ragdiag.workflows.diagnosing.diagnose import Scope, requests_in_scope
from ragdiag.workflows.diagnosing.scenes import Examination

Blame = Literal[
    "corpus", "label_suspect", "packing", "retrieval", "distraction", "generator", "undetermined"
]
"""Verdicts on a failure; "undetermined" is a person's "cannot tell"."""


class Blamed(Row):
    """A line that a person has filled in; the rest of what was drawn is ignored."""

    request_id: Identifier
    label: Blame


@dataclass(frozen=True)
class BlindAgreement:
    """``tiers``: how often verdicts of each tier were what the person said, whose label takes the
    place of the fault. ``undecided`` are failures on which the person could not tell, ``missing``
    those without a diagnosis that is up to date."""

    labels: int
    undecided: int
    missing: tuple[str, ...]
    rejects: tuple[Reject, ...]
    tiers: Mapping[Tier, TierTrust]

    def to_json(self) -> dict[str, Any]:
        return {
            "labels": self.labels,
            "undecided": self.undecided,
            "missing": list(self.missing),
            "rejects": [{"line": one.line, "reason": one.reason} for one in self.rejects],
            "tiers": {tier: one.to_json() for tier, one in self.tiers.items()},
        }


def draw_failures(
    lake: Lake,
    workspace: Workspace,
    version: Version | LoggedVersion,
    split: str | None = None,
    *,
    n: int = 100,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Lines to fill in: ``n`` failures with gold passages, drawn at random, in an order that tells
    nothing. Raises UnknownName where there is no request, InputError where none has failed."""
    bench = Bench(lake, workspace, version)
    failed = []
    for request in requests_in_scope(lake, version, Scope(split)):
        grade = bench.grade(request, request.said)
        if grade.y == 0:
            failed.append(bench.look_at(request, grade))
    failed = [seen for seen in failed if seen.known.gold]
    if not failed:
        raise InputError(
            f"no request of version {version.name} with known gold has failed",
            remedy="name another split, or import gold passages",
        )
    chosen = Random(seed).sample(failed, min(n, len(failed)))
    return [_line(seen) for seen in chosen]


def read_blame(path: Path) -> tuple[dict[str, Blame], tuple[Reject, ...]]:
    """Request id → what a person said. Lines without a label, with one that is no verdict, or of a
    request that an earlier line has, are rejects. Raises InputError where none can be used."""
    rows, rejects = read_rows(path, Blamed, key=lambda row: row.request_id)
    said = {one.row.request_id: one.row.label for one in rows}
    if not said:
        why = f": {rejects[0].reason} (line {rejects[0].line})" if rejects else ""
        raise InputError(
            f"{path} holds no label{why}",
            remedy=f'write "label" into its lines, one of: {", ".join(get_args(Blame))}',
        )
    return said, tuple(rejects)


def compare_blame(lake: Lake, path: Path) -> BlindAgreement:
    """The latest diagnoses of the requests in ``path`` beside its labels. Raises as
    :func:`read_blame`."""
    said, rejects = read_blame(path)
    decided = {name: label for name, label in said.items() if label != "undetermined"}
    diagnoses = load_diagnoses(lake, list(decided))
    told = [
        Told(label, label, found.tier, found.verdict, side_of(found))
        for name, label in decided.items()
        if (found := diagnoses.get(name))
    ]
    return BlindAgreement(
        labels=len(said),
        undecided=len(said) - len(decided),
        missing=tuple(name for name in decided if name not in diagnoses),
        rejects=rejects,
        tiers={tier: trust(told, tier) for tier in TIERS if any(one.tier == tier for one in told)},
    )


def blame_rows(matrix: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """The confusion matrix as rows: what the person said, and a column for each verdict given."""
    given = sorted({verdict for row in matrix.values() for verdict in row})
    return [
        {"label": label, **{verdict: matrix[label].get(verdict, 0) for verdict in given}}
        for label in get_args(Blame)
        if label in matrix
    ]


def _line(seen: Examination) -> dict[str, Any]:
    request = seen.request
    places = {hit.passage_id: rank for rank, hit in enumerate(request.ranking, start=1)}
    return {
        "request_id": request.request_id,
        "label": "",
        "question": request.question,
        "answer": request.answer,
        "status": request.status,
        "gold_answers": list(seen.known.answers),
        "gold": [{**_passage(one), "rank": places.get(one.passage_id)} for one in seen.known.gold],
        "context": [_passage(one) for one in seen.context],
    }


def _passage(one: Passage | ContextPassage) -> dict[str, Any]:
    return {"id": one.passage_id, "title": one.title, "text": one.text}
