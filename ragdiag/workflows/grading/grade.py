"""Have a grader grade a version's answers, beside the grades that they have.

Resumable: grades are saved every BATCH answers, and an answer that the grader has decided is not
graded again unless asked for; where it failed, where gold has come since, and where it could not
tell, it tries again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.grading.contract import Grader, Item
from ragdiag.privacy.hiding import NOT_STORED, is_hidden
from ragdiag.progress import Progress, report
from ragdiag.records import Estimate, Grade, Request, Weighed
from ragdiag.stats.intervals import rate_bounds_with_unknown
from ragdiag.stats.weighted import weighted_rate
from ragdiag.store.contexts import load_contexts
from ragdiag.store.corpus import load_gold_answers
from ragdiag.store.findings import load_grades, load_weights
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_findings

BATCH = 100
FAILED = ("error", "judge_error")
"""States of a grade that trying again may mend."""

UNTOLD = "undefined"
"""The state of a grade for which something was missing: an answer, its context, a number in the
gold. Whether it still is costs nothing to see."""


@dataclass(frozen=True)
class GradeRun:
    """What ``grader`` says of ``n`` answers: ``graded`` now, the others before.

    ``right`` is the rate over the decided ones, ``bounds`` that over all if every undecided one
    were wrong, and if every one were right; in both, each weighs as many as it stands for where the
    log is a sample. ``undecided`` counts them by their status.
    """

    grader: str
    n: int
    graded: int
    right: Estimate
    bounds: tuple[float, float]
    undecided: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        return {
            "grader": self.grader,
            "n": self.n,
            "graded": self.graded,
            "right": self.right.to_json(),
            "bounds": [None if bound != bound else bound for bound in self.bounds],
            "undecided": dict(self.undecided),
        }

    def to_text(self) -> str:
        rate = self.right
        told = (
            f"undefined: {rate.reason}"
            if rate.reason
            else f"{rate.value:.1%} ({rate.low:.1%}–{rate.high:.1%}, n = {rate.n})"
        )
        lines = [f"{self.grader}: {told} right; {self.graded} of {self.n} answers graded now"]
        if self.undecided:
            counts = ", ".join(f"{count} {status}" for status, count in self.undecided.items())
            low, high = self.bounds
            lines.append(f"undecided: {counts}; over all answers {low:.1%} to {high:.1%}")
        return "\n".join(lines)


def items_of(lake: Lake, requests: Sequence[Request]) -> list[Item]:
    """What a grader may look at of each request whose question and answer are stored."""
    golds, contexts = load_gold_answers(lake), load_contexts(lake, requests)
    return [
        Item(
            request.request_id,
            request.question,
            request.answer,
            request.status,
            tuple(golds.get(request.question_id or "", ())),
            contexts.get(request.request_id, ()),
            request.citations,
        )
        for request in requests
        if not (is_hidden(request.question) or is_hidden(request.answer))
    ]


def ungraded(
    lake: Lake, requests: Sequence[Request], grader: str, *, again: bool = False
) -> list[Request]:
    """Those that ``grader`` has not decided in its present version, or all of them ``again``.
    Without a gold answer, as when it was graded, a request counts as decided."""
    if again:
        return list(requests)
    done, golds = _load_grades(lake, requests, grader), load_gold_answers(lake)

    def is_decided(request: Request) -> bool:
        grade = done.get(request.request_id)
        if grade is None or grade.grader != grader or grade.status in (*FAILED, UNTOLD):
            return False
        return grade.status != "no_gold" or request.question_id not in golds

    return [request for request in requests if not is_decided(request)]


def grade_requests(
    lake: Lake,
    requests: Sequence[Request],
    grader: Grader,
    *,
    again: bool = False,
    progress: Progress | None = None,
) -> GradeRun:
    """Grade what ``grader`` has not decided yet, and count what it says of all. What it still
    cannot tell is not said again.

    Raises GeneratorDown where a judge's server fails again and again; what was graded is kept.
    """
    todo = ungraded(lake, requests, grader.name, again=again)
    known = _load_grades(lake, todo, grader.name)
    graded = 0
    for start in range(0, len(todo), BATCH):
        part = todo[start : start + BATCH]
        items = items_of(lake, part)
        told = {item.item_id for item in items}
        hidden = [
            Grade(request.request_id, grader.name, None, None, "undefined", NOT_STORED)
            for request in part
            if request.request_id not in told and not _is_known(known.get(request.request_id))
        ]
        found = [
            grade
            for grade in (*grader.grade(items), *hidden)
            if again or grade.status != UNTOLD or grade != known.get(grade.request_id)
        ]
        save_findings(lake, grades=found)
        graded += len(found)
        done = start + len(part)
        report(progress, done / len(todo), f"graded {done} of {len(todo)}")
    return summarise(lake, requests, grader.name, graded)


def summarise(lake: Lake, requests: Sequence[Request], grader: str, graded: int = 0) -> GradeRun:
    """Count what the lake holds of ``grader`` about ``requests``."""
    ids = [request.request_id for request in requests]
    found, weights = load_grades(lake, grader, ids), load_weights(lake, ids)
    known = {name: grade.y for name, grade in found.items() if grade.y is not None}
    decided = Weighed.counted([weights[name] for name in known])
    right = Weighed.counted([weights[name] for name, y in known.items() if y])
    unknown = Weighed.counted([weights[name] for name in ids if name not in known])
    undecided: Counter[str] = Counter(grade.status for grade in found.values() if grade.y is None)
    if missing := len(requests) - len(found):
        undecided["not graded"] = missing
    return GradeRun(
        grader=grader,
        n=len(requests),
        graded=graded,
        right=weighted_rate(right, decided),
        bounds=rate_bounds_with_unknown(right.weighted, decided.weighted, unknown.weighted),
        undecided=dict(sorted(undecided.items())),
    )


def _is_known(grade: Grade | None) -> bool:
    return grade is not None and grade.y is not None


def _load_grades(lake: Lake, requests: Sequence[Request], grader: str) -> dict[str, Grade]:
    return load_grades(lake, grader, [request.request_id for request in requests])
