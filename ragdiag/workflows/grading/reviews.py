"""Reviewers' labels: the answers that they are to see, what they say, and how far they agree.

A label is kept as a grade of ``reviewer:NAME``. A later one of the same reviewer replaces it, and
one that is taken back counts no more; whether the answer is right follows at once (authority.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any, Literal

from ragdiag.errors import InputError
from ragdiag.records import DEFAULT_GRADER, Estimate, Grade, Traffic
from ragdiag.stats.agreement import cohen_kappa
from ragdiag.stats.label_sampling import draw_labels
from ragdiag.store.authority import REVIEWER
from ragdiag.store.findings import load_grades
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.results import load_requests, save_findings
from ragdiag.store.reviews import WITHDRAWN, load_answered, load_reviews
from ragdiag.workflows.grading.calibrate import shown_estimate

Label = Literal["correct", "wrong", "cannot tell"]
Draw = Literal["at random", "as many right as wrong"]
LABELS: Mapping[Label, int | None] = {"correct": 1, "wrong": 0, "cannot tell": None}
LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Cohen's κ of two reviewers over the answers that both called correct or wrong."""

    first: str
    second: str
    same: int
    kappa: Estimate

    def to_json(self) -> dict[str, Any]:
        return {
            "first": self.first,
            "second": self.second,
            "same": self.same,
            "kappa": self.kappa.to_json(),
        }


@dataclass(frozen=True, slots=True)
class ReviewerAgreement:
    """``labels`` and those of them that ``decided``, by reviewer; ``pairs`` of every two who have
    decided on an answer in common, most answers first. Without any, ``reason`` says why."""

    labels: Mapping[str, int]
    decided: Mapping[str, int]
    pairs: Sequence[PairAgreement]
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {
            "reviewers": [
                {"name": name, "labels": count, "decided": self.decided[name]}
                for name, count in self.labels.items()
            ],
            "pairs": [pair.to_json() for pair in self.pairs],
            "reason": self.reason or None,
        }

    def to_text(self) -> str:
        lines = [
            f"{name}: {count} labels, {self.decided[name]} decided"
            for name, count in self.labels.items()
        ]
        lines += [
            f"{pair.first} and {pair.second}: κ {shown_estimate(pair.kappa)}, n = {pair.kappa.n}; "
            f"the same label {pair.same} times"
            for pair in self.pairs
        ]
        return "\n".join([*lines, f"no κ: {self.reason}"] if self.reason else lines)


def reviewer_grader(name: str) -> str:
    """Under which name a reviewer's labels are kept; case and spaces make no other reviewer.

    Raises InputError for a name that is empty, too long or not printable.

    >>> reviewer_grader(" Ada  Lovelace")
    'reviewer:ada lovelace'
    """
    folded = " ".join(name.split()).casefold()
    if not folded or len(folded) > LONGEST_NAME or not folded.isprintable():
        raise InputError(
            f"{ascii(name)[:60]} is no reviewer's name",
            remedy=f"give 1 to {LONGEST_NAME} printable characters",
        )
    return REVIEWER + folded


def save_label(lake: Lake, reviewer: str, request_id: str, label: Label, note: str = "") -> None:
    """Keep what a reviewer says of an answer. Raises InputError as :func:`reviewer_grader`."""
    y = LABELS[label]
    status: Literal["ok", "undefined"] = "undefined" if y is None else "ok"
    score = None if y is None else float(y)
    grade = Grade(request_id, reviewer_grader(reviewer), y, score, status, note.strip())
    save_findings(lake, grades=[grade])


def withdraw_label(lake: Lake, reviewer: str, request_id: str) -> None:
    """Take a label back: the answer is one that this reviewer has not seen yet."""
    name = reviewer_grader(reviewer)
    save_findings(lake, grades=[Grade(request_id, name, None, None, WITHDRAWN)])


def draw_reviews(lake: Lake, filters: Filters, n: int, draw: Draw) -> list[str]:
    """``n`` request ids for every reviewer to label, in one order that tells nothing: at random, or
    as many that the default grader calls right as wrong, as far as they go."""
    ids = [one.request_id for one in load_answered(lake, filters)]
    strata: dict[str, str] = dict.fromkeys(ids, "")
    if draw != "at random":
        grades = load_grades(lake, DEFAULT_GRADER, ids)
        strata = {name: str(grades[name].y) if name in grades else "" for name in ids}
    drawn = draw_labels(strata, n, allocation="equal")
    return sorted((one.row_id for one in drawn), key=_shuffled)


def load_traffic_reviews(
    lake: Lake, version_id: str, traffic: Traffic, since: datetime | None, until: datetime | None
) -> dict[str, dict[str, Grade]]:
    """As :func:`load_reviews`, of a version's answers to one ``traffic`` of a window. Of all its
    requests only those are read that have a label: they may be few of very many."""
    labelled = {name for said in load_reviews(lake).values() for name in said}
    chosen = load_requests(
        lake,
        version_id=version_id,
        traffic=traffic,
        since=since,
        until=until,
        request_ids=sorted(labelled),
    )
    return load_reviews(lake, [request.request_id for request in chosen])


def reviewer_agreement(reviews: Mapping[str, Mapping[str, Grade]]) -> ReviewerAgreement:
    """How far these reviewers agree (:func:`load_reviews`)."""
    decided = {
        name: {request: grade.y for request, grade in said.items() if grade.y is not None}
        for name, said in reviews.items()
    }
    pairs = []
    for first, second in combinations(sorted(decided), 2):
        shared = sorted(decided[first].keys() & decided[second].keys())
        if shared:
            a, b = ([decided[name][one] for one in shared] for name in (first, second))
            same = sum(x == y for x, y in zip(a, b, strict=True))
            pairs.append(PairAgreement(first, second, same, cohen_kappa(a, b)))
    return ReviewerAgreement(
        labels={name: len(said) for name, said in reviews.items()},
        decided={name: len(said) for name, said in decided.items()},
        pairs=sorted(pairs, key=lambda pair: (-pair.kappa.n, pair.first, pair.second)),
        reason="" if pairs else _why_no_pair(list(reviews)),
    )


def _why_no_pair(reviewers: Sequence[str]) -> str:
    if not reviewers:
        return "no reviewer has labelled an answer"
    if len(reviewers) == 1:
        return f"only {reviewers[0]} has labelled answers, and agreement needs two"
    return "no answer was decided by two reviewers"


def _shuffled(request_id: str) -> str:
    return hashlib.sha256(request_id.encode()).hexdigest()
