"""How many answers are right, from a grader's many grades and people's few labels; and which
answers people should label for that (METHODS.md §8).

Where nothing was answered there is nothing to label: that is wrong for certain. Whether it rests on
its context cannot be asked: rates about that leave it out.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ragdiag.errors import UnknownName
from ragdiag.grading.contract import Subject
from ragdiag.grading.graders import LOCAL
from ragdiag.records import DEFAULT_GRADER, Estimate, Grade, Request, Weighed
from ragdiag.stats.label_sampling import draw_labels
from ragdiag.stats.mixed_labels import (
    LEAST_LABELS,
    Cell,
    Confusion,
    corrected_rate,
    rogan_gladen_rate,
)
from ragdiag.stats.weighted import weighted_rate
from ragdiag.store.calibrations import GraderCalibration, load_calibrations
from ragdiag.store.deciding import load_people
from ragdiag.store.findings import load_grades, load_weights
from ragdiag.store.lake import Lake
from ragdiag.workflows.grading.calibrate import human_grader
from ragdiag.workflows.grading.grade import items_of
from ragdiag.workflows.grading.label_strata import Row, choose_strata

Strata = Literal["grade", "topic"]
"""``grade``: by what the grader said alone; ``topic``: by that and the request's topic."""

SAID: Mapping[int | None, str] = {1: "right", 0: "wrong", None: "undecided"}
TOPIC, DEFAULT = "topic", "default grade"
"""What labels may have been drawn by beside the grader's word."""


class Counted(Protocol):
    """What of a request its rate and its stratum need."""

    @property
    def request_id(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def answered(self) -> bool: ...


@dataclass(frozen=True)
class CorrectedRate:
    """``graded`` is the grader's own rate over what it decided, ``corrected`` the rate that people
    would give; ``by`` says how it was corrected. Where the ``rows`` are a sample of all requests,
    both are the rates of all of them. ``unanswered`` of the rows have no answer; ``labels`` are
    those of the others."""

    grader: str
    rows: int
    unanswered: int
    labels: int
    graded: Estimate
    corrected: Estimate
    by: str

    def to_json(self) -> dict[str, Any]:
        return {
            "grader": self.grader,
            "rows": self.rows,
            "unanswered": self.unanswered,
            "labels": self.labels,
            "graded": self.graded.to_json(),
            "corrected": self.corrected.to_json(),
            "by": self.by,
        }

    def to_text(self) -> str:
        def shown(rate: Estimate) -> str:
            if rate.value != rate.value:
                return f"undefined: {rate.reason}"
            if rate.low != rate.low:
                return f"{rate.value:.1%} ({rate.reason})"
            return f"{rate.value:.1%} ({rate.low:.1%}–{rate.high:.1%})"

        none = f", {self.unanswered} of them without an answer" if self.unanswered else ""
        return (
            f"{self.grader} alone: {shown(self.graded)} right, n = {self.graded.n}\n"
            f"corrected by {self.by}: {shown(self.corrected)}, n = {self.rows}{none}"
        )


def correct_rate(
    lake: Lake,
    requests: Sequence[Counted],
    grader: str,
    *,
    about: Subject = "correct",
    strata: Strata | None = None,
    seed: int = 0,
    scope: str = "VERSION",
) -> CorrectedRate:
    """Correct ``grader``'s rate by the labels that these requests have, taken as random within each
    stratum and weight; where they are too few, by its calibration of an earlier time, if there is
    one. Requests that were logged by chance count as many as they stand for. Without ``strata`` the
    finest are taken that have labels (label_strata.py), so that it does not matter by which of them
    the labels were drawn; where they were seen to be drawn by others, there is no rate.

    Answers that the grader could not decide are a stratum of their own: without a label in it, or
    below 20 in all, there is no rate. By a calibration they widen the interval from 0 to 1.
    Requests without an answer are wrong and count as no label; where answers have labels, one that
    such a request has all the same holds. Where one was graded right, answers are not logged here,
    and none is taken to be missing.

    Raises UnknownName where the grader has graded none of them, or where there is neither a label
    nor a calibration; its remedy is a command that names the requests by ``scope``.
    """
    asked = [one for one in requests if about == "correct" or one.answered]
    ids, answered = [one.request_id for one in asked], {r.request_id for r in asked if r.answered}
    grades, labels = load_grades(lake, grader, ids), _labels(lake, ids, about)
    if not grades:
        raise UnknownName(
            f"{grader} has graded none of these {len(ids)} answers",
            remedy=f"run: ragdiag grade run {scope} --grader "
            f"{grader if grader in LOCAL else 'NAME'}, and use the name that it prints",
        )
    if any(name not in answered and one.y == 1 for name, one in grades.items()):
        answered = {*ids}  # Somebody saw them: this log has grades, and not the answers.
    weights = load_weights(lake, ids)
    told = len(labels.keys() & answered)
    past = load_calibrations(lake).get(grader)
    default = grades
    if about == "correct" and grader != DEFAULT_GRADER:
        default = load_grades(lake, DEFAULT_GRADER, ids)
    both = grades, default
    corrected, strata_told = _by_labels(asked, answered, both, labels, weights, strata, seed)
    how = f"{told} label{'s' * (told != 1)} of these answers{strata_told}"
    if answered and math.isnan(corrected.value):
        if past is not None:
            decided = _decided(grades, weights, answered)
            by_the_past = _by_the_past(decided, weights, answered, past, seed)
            if not told or not math.isnan(by_the_past.value):
                corrected, how = by_the_past, f"the labels of {past.labels}"
        elif not told:
            raise UnknownName(
                f"none of these answers has a label, and {grader} was never calibrated",
                remedy=f"label some: ragdiag grade sample {scope} --grader {grader} --out FILE, "
                "then ragdiag grade calibrate",
            )
    graded = weighted_rate(*_decided(grades, weights, weights))
    unanswered = len(ids) - len(answered)
    return CorrectedRate(grader, len(ids), unanswered, told, graded, corrected, how)


def sample_to_label(
    lake: Lake,
    requests: Sequence[Request],
    grader: str,
    n: int,
    *,
    strata: Strata = "grade",
    proportional: bool = False,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Lines for people to fill in, as ``grade calibrate`` reads them: ``label`` is null.

    The grader's opinion is not shown, only the chance with which a line was drawn: who sees it
    agrees with it. Answers that are not stored, or that nobody gave, cannot be labelled, and are
    not drawn.
    """
    answered = [request for request in requests if request.answered]
    items = {item.item_id: item for item in items_of(lake, answered)}
    grades, weights = load_grades(lake, grader, list(items)), load_weights(lake, list(items))
    places = {
        request.request_id: (_stratum(request, grades, strata), weights[request.request_id])
        for request in answered
        if request.request_id in items
    }
    allocation: Literal["proportional", "equal"] = "proportional" if proportional else "equal"
    drawn = draw_labels(places, n, allocation=allocation, seed=seed)
    return [
        {
            "request_id": one.row_id,
            "question": items[one.row_id].question,
            "answer": items[one.row_id].answer,
            "answers": list(items[one.row_id].golds),
            "propensity": one.propensity,
            "label": None,
        }
        for one in sorted(drawn, key=lambda one: one.row_id)
    ]


def _labels(lake: Lake, ids: Sequence[str], about: Subject) -> dict[str, int]:
    if about == "correct":
        return load_people(lake, ids)
    said = load_grades(lake, human_grader(about), ids)
    return {name: grade.y for name, grade in said.items() if grade.y is not None}


def _stratum(request: Counted, grades: Mapping[str, Grade], strata: Strata) -> str:
    said = _said(grades.get(request.request_id))
    return f"{said} {request.topic}" if strata == "topic" else said


def _by_labels(
    requests: Sequence[Counted],
    answered: Container[str],
    grades: tuple[Mapping[str, Grade], Mapping[str, Grade]],
    labels: Mapping[str, int],
    weights: Mapping[str, float],
    strata: Strata | None,
    seed: int,
) -> tuple[Estimate, str]:
    """The rate, and by which strata beside what was asked for; ``grades`` are the grader's and the
    default grader's."""
    own, default = grades
    rows = [
        Row(
            _said(own.get(one.request_id)),
            weights[one.request_id],
            labels.get(one.request_id),
            {TOPIC: one.topic, DEFAULT: _said(default.get(one.request_id))},
        )
        for one in requests
        if one.request_id in answered
    ]
    facts = [TOPIC] if own is default else [TOPIC, DEFAULT]
    fixed = None if strata is None else (TOPIC,) if strata == "topic" else ()
    chosen = choose_strata(rows, facts, fixed, seed)
    found = corrected_rate([*chosen.cells, *_settled(requests, answered, labels, weights)])
    if chosen.reason is not None and not math.isnan(found.value):
        found = Estimate.undefined(chosen.reason, n=found.n)
    return found, "".join(f", by {name}" for name in chosen.by if fixed is None)


def _settled(
    requests: Sequence[Counted],
    answered: Container[str],
    labels: Mapping[str, int],
    weights: Mapping[str, float],
) -> list[Cell]:
    """The requests without an answer, by weight."""
    rights: dict[float, list[int]] = {}
    for one in requests:
        if one.request_id not in answered:
            of_weight = rights.setdefault(weights[one.request_id], [])
            of_weight.append(labels.get(one.request_id, 0))
    return [Cell.known(len(ys), sum(ys), weight) for weight, ys in sorted(rights.items())]


def _said(grade: Grade | None) -> str:
    return SAID[None if grade is None else grade.y]


def _decided(
    grades: Mapping[str, Grade], weights: Mapping[str, float], among: Container[str]
) -> tuple[Weighed, Weighed]:
    """Those of ``among`` that the grader calls right, and those that it has decided."""
    found = {name: grade.y for name, grade in grades.items() if name in among}
    known = {name: y for name, y in found.items() if y is not None}
    right = Weighed.counted([weights[name] for name, y in known.items() if y])
    return right, Weighed.counted([weights[name] for name in known])


def _by_the_past(
    decided: tuple[Weighed, Weighed],
    weights: Mapping[str, float],
    answered: Container[str],
    past: GraderCalibration,
    seed: int,
) -> Estimate:
    sensitivity, specificity = past.estimate("sensitivity"), past.estimate("specificity")
    if not (sensitivity.n and specificity.n):
        return Estimate.undefined("the calibration knew one label only", n=len(weights))
    if math.isnan(sensitivity.value + specificity.value):
        return Estimate.undefined(sensitivity.reason or "the calibration failed", n=len(weights))
    if "told" in past.found and sensitivity.n + specificity.n < LEAST_LABELS:
        # How much so few tell that weigh unequally is itself a guess.
        return Estimate.undefined(f"a rate needs {LEAST_LABELS} labels", n=len(weights))
    positives, negatives = past.told("sensitivity"), past.told("specificity")
    confusion = Confusion(
        sensitivity.value * positives, positives, specificity.value * negatives, negatives
    )
    settled = Weighed.counted([w for name, w in weights.items() if name not in answered])
    found = rogan_gladen_rate(*decided, confusion, seed, settled=settled)
    rows, known = Weighed.counted(list(weights.values())), decided[1] + settled
    undecided = int(rows.plain - known.plain)
    if found.value != found.value or not undecided:
        return found
    share = known.weighted / rows.weighted
    reason = f"{undecided} undecided answers count as wrong below and right above"
    low, high = found.low * share, found.high * share + 1 - share
    return Estimate((low + high) / 2, low, high, int(rows.plain), reason)
