"""Reviewers' labels: the answers that they are to see, what they say, and how far they agree.

A label is kept as a grade of ``reviewer:NAME``. A later one of the same reviewer replaces it, and
one that is taken back counts no more; whether the answer is right follows at once (authority.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from ragdiag.errors import InputError
from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import DEFAULT_GRADER, Estimate, Grade
from ragdiag.stats.agreement import cohen_kappa
from ragdiag.stats.label_sampling import draw_labels
from ragdiag.store.authority import REVIEWER
from ragdiag.store.findings import load_grades
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.results import save_findings
from ragdiag.store.rows import grade_from_row

Label = Literal["correct", "wrong", "cannot tell"]
Draw = Literal["at random", "as many right as wrong"]
LABELS: Mapping[Label, int | None] = {"correct": 1, "wrong": 0, "cannot tell": None}
LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Answered:
    """A request whose answer can be reviewed: its texts are stored and something was answered."""

    request_id: str
    topic: str


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Cohen's κ of two reviewers over the answers that both called correct or wrong."""

    first: str
    second: str
    same: int
    kappa: Estimate


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
    save_findings(lake, grades=[Grade(request_id, name, None, None, "withdrawn")])


def load_reviews(lake: Lake, request_ids: Sequence[str]) -> dict[str, dict[str, Grade]]:
    """Reviewer → request → label that stands, each reviewer's in the order in which they were
    given."""
    rows = lake.rows(
        "select * from latest_grades where starts_with(grader, $reviewer)"
        " and status <> 'withdrawn' and request_id in (select unnest($ids::varchar[]))"
        " order by grader, graded_at, request_id",
        {"reviewer": REVIEWER, "ids": list(request_ids)},
    )
    found: dict[str, dict[str, Grade]] = {}
    for row in rows:
        name = row["grader"].removeprefix(REVIEWER)
        found.setdefault(name, {})[row["request_id"]] = grade_from_row(row)
    return found


def load_answered(lake: Lake, filters: Filters) -> list[Answered]:
    """The requests whose answers can be reviewed."""
    condition, parameters = filters.where()
    rows = lake.rows(
        "select r.request_id, r.topic, r.question, r.answer from requests r"
        f" where r.status = 'ok' and r.answer <> '' and {condition} order by r.request_id",
        parameters,
    )
    return [
        Answered(row["request_id"], row["topic"] or "")
        for row in rows
        if not (is_hidden(row["question"]) or is_hidden(row["answer"]))
    ]


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


def reviewer_agreement(reviews: Mapping[str, Mapping[str, Grade]]) -> list[PairAgreement]:
    """κ of every two reviewers who have decided on an answer in common, most answers first."""
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
    return sorted(pairs, key=lambda pair: (-pair.kappa.n, pair.first, pair.second))


def _shuffled(request_id: str) -> str:
    return hashlib.sha256(request_id.encode()).hexdigest()
