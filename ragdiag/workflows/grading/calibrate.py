"""Measure graders against people, and keep what was found beside every score they give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.errors import InputError, UnknownName
from ragdiag.grading.contract import Grader, Item, Subject
from ragdiag.grading.flips import ASKED_AGAIN, CAUTION, Flips, flips_too_often, measure_flips
from ragdiag.grading.groundedness import LEXICAL, GroundednessGrader, lexical_support
from ragdiag.grading.judge import Judge
from ragdiag.grading.rules import rule_grader
from ragdiag.progress import Progress, report
from ragdiag.records import HUMAN_GRADER, Estimate, Grade
from ragdiag.stats.agreement import Agreement
from ragdiag.stats.weighted_agreement import Draw, no_agreement, weighted_agreement
from ragdiag.store.calibrations import GraderCalibration, save_calibration
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests, save_findings
from ragdiag.workflows.grading.grade import items_of
from ragdiag.workflows.grading.human_labels import HumanLabels
from ragdiag.workflows.grading.label_chances import BY_CHANCE, WITHOUT, draws_of


@dataclass(frozen=True)
class Calibrated:
    """``found`` by grader, and of judges that were asked again ``flips``; ``n`` labelled answers
    could be graded, ``missing`` could not: no such request, or one whose text is not stored.
    ``drawn`` says how they count, or why no agreement can be told from them."""

    source: str
    n: int
    missing: int
    tied: int
    rejects: int
    floor: str
    found: dict[str, Agreement]
    floor_found: Agreement
    flips: Mapping[str, Flips]
    drawn: str

    def to_json(self) -> dict[str, Any]:
        return {
            "labels": self.source,
            "n": self.n,
            "missing": self.missing,
            "tied": self.tied,
            "rejects": self.rejects,
            "drawn": self.drawn,
            "floor": {"grader": self.floor, **self.floor_found.to_json()},
            "graders": {
                name: _found_json(found, self.flips.get(name)) for name, found in self.found.items()
            },
        }

    def to_text(self) -> str:
        left_out = f"{self.missing} not here, {self.tied} tied, {self.rejects} lines rejected"
        lines = [f"{self.n} labelled answers of {self.source} ({left_out})", self.drawn]
        for name, found in {**self.found, f"floor: {self.floor}": self.floor_found}.items():
            measures = ("accuracy", "kappa", "sensitivity", "specificity", "auroc")
            told = ", ".join(f"{one} {shown_estimate(getattr(found, one))}" for one in measures)
            if found.accuracy.reason == self.drawn:
                told = "agreement undefined"
            unknown = f"; {found.unknown} undecided" if found.unknown else ""
            lines.append(f"{name}: {told}{unknown}{self._flips_told(name)}")
        return "\n".join(lines)

    def _flips_told(self, name: str) -> str:
        if name not in self.flips:
            return ""
        rate, undecided = self.flips[name].rate, self.flips[name].undecided
        none = f", {undecided} undecided" if undecided else ""
        told = f"; flips {shown_estimate(rate)} of {rate.n} verdicts asked for again{none}"
        return f"{told}, {CAUTION}" if flips_too_often(rate) else told


def human_grader(about: Subject) -> str:
    """Under which name people's labels of this kind are kept as grades.

    >>> human_grader("correct"), human_grader("grounded")
    ('human', 'human:grounded')
    """
    return HUMAN_GRADER if about == "correct" else f"{HUMAN_GRADER}:{about}"


def floor_grader(about: Subject) -> Grader:
    """Plain word overlap: what a grader must beat to be worth its price."""
    if about == "correct":
        return rule_grader("content_f1", None)
    return GroundednessGrader("grounded_lexical", lexical_support, LEXICAL)


def calibrate_graders(
    lake: Lake,
    labels: HumanLabels,
    graders: Sequence[Grader],
    about: Subject = "correct",
    progress: Progress | None = None,
    *,
    again: int = ASKED_AGAIN,
) -> Calibrated:
    """Grade what people have labelled, compare, and keep both: the labels of requests as grades of
    :func:`human_grader`, and each grader's agreement. Judges are asked once more about ``again`` of
    the answers, past what they said of them before.

    Raises InputError where a grader judges something else than the labels are about, UnknownName
    where none of the labelled answers is here.
    """
    for grader in graders:
        if grader.about != about:
            raise InputError(
                f"{grader.name} judges whether an answer is {grader.about}, the labels whether it "
                f"is {about}",
                remedy=f"use --about {grader.about} with labels of that, or name other graders",
            )
    items = labelled_items(lake, labels)
    if not items:
        raise UnknownName(
            f"none of the {len(labels.labels)} answers labelled in {labels.source} is here",
            remedy="label requests of this workspace, or give each item its answer",
        )
    requested = [item for item in items if item.item_id not in labels.items]
    save_findings(
        lake,
        grades=[
            Grade(i.item_id, human_grader(about), y := labels.labels[i.item_id], float(y))
            for i in requested
        ],
    )
    draws = draws_of(lake, items, labels, [grader.name for grader in graders])
    floor = floor_grader(about)
    floor_found = _agreement(floor.grade(items), items, labels, draws)
    found: dict[str, Agreement] = {}
    flips: dict[str, Flips] = {}
    for number, grader in enumerate(graders, start=1):
        grades = grader.grade(items)
        found[grader.name] = _agreement(grades, items, labels, draws)
        if isinstance(grader, Judge) and again:
            flips[grader.name] = measure_flips(grader, items, grades, again)
        told = _found_json(found[grader.name], flips.get(grader.name))
        kept = {**told, "floor": floor_found.auroc.to_json()}
        if not isinstance(draws, str):  # what says nothing must not stand in for what did
            save_calibration(lake, GraderCalibration(grader.name, about, labels.source, kept))
        report(progress, number / len(graders), f"measured {grader.name}")
    return Calibrated(
        source=labels.source,
        n=len(items),
        missing=len(labels.labels) - len(items),
        tied=labels.tied,
        rejects=len(labels.rejects),
        floor=floor.name,
        found=found,
        floor_found=floor_found,
        flips=flips,
        drawn=draws if isinstance(draws, str) else BY_CHANCE if labels.chances else WITHOUT,
    )


def labelled_items(lake: Lake, labels: HumanLabels) -> list[Item]:
    """The labelled answers that can be graded: the file's own, and the requests that are here."""
    own = [item for name, item in labels.items.items() if name in labels.labels]
    wanted = [name for name in labels.labels if name not in labels.items]
    return [*own, *items_of(lake, load_requests(lake, request_ids=wanted) if wanted else [])]


def _agreement(
    grades: Sequence[Grade],
    items: Sequence[Item],
    labels: HumanLabels,
    draws: Sequence[Draw] | str,
) -> Agreement:
    graded = [grade.y for grade in grades]
    if isinstance(draws, str):
        return no_agreement(graded, draws)
    told = [labels.labels[item.item_id] for item in items]
    return weighted_agreement(graded, told, [grade.score for grade in grades], draws)


def _found_json(found: Agreement, flips: Flips | None) -> dict[str, Any]:
    return {**found.to_json(), **({} if flips is None else {"flips": flips.to_json()})}


def shown_estimate(estimate: Estimate) -> str:
    """``0.83 (0.76–0.89)``; says why where there is no value."""
    if estimate.value != estimate.value:
        return f"undefined ({estimate.reason})"
    known = estimate.low == estimate.low
    bounds = f"{estimate.low:.2f}–{estimate.high:.2f}" if known else "no interval"
    return f"{estimate.value:.2f} ({bounds})"
