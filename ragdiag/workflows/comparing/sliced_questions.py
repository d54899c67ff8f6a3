"""The questions of a workspace by kind, and how often each kind fails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.metrics.question_slices import (
    AskedQuestion,
    SliceKind,
    Slices,
    in_order,
    slice_questions,
    words_of,
)
from ragdiag.metrics.ranking import best_judged, score_ranking
from ragdiag.records import Estimate, Grade, Request, Weighed
from ragdiag.stats.clustered_rates import clustered_rate, clustered_score
from ragdiag.stats.weighted import weighted_rate
from ragdiag.store.corpus import load_judgments, load_questions
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, Row
from ragdiag.store.trends import failing_questions
from ragdiag.store.word_counts import count_passages, passages_holding

SLICE_METRICS = ("MRR@10", "recall@10")


@dataclass(frozen=True, slots=True)
class SliceRate:
    """How often the graded answers to one kind of question were wrong."""

    kind: SliceKind
    name: str
    failures: Estimate


@dataclass(frozen=True, slots=True)
class SliceScores:
    """What was scored on one kind of question: ``MRR@10`` and ``recall@10`` of the questions with
    judgments, ``correct`` of the graded ones."""

    kind: SliceKind
    name: str
    metrics: Mapping[str, Estimate]

    def to_json(self) -> dict[str, Any]:
        found = {name: value.to_json() for name, value in self.metrics.items()}
        return {"kind": self.kind, "name": self.name, "metrics": found}


def load_slices(lake: Lake) -> Slices:
    """Every question of the workspace under every kind: whoever shows some of them shows slices of
    the same names, cut at the same lengths."""
    judgments = load_judgments(lake)
    asked = [
        AskedQuestion(
            one.question_id,
            one.text,
            one.topic,
            len(best_judged(judgments[one.question_id])) if one.question_id in judgments else None,
        )
        for one in load_questions(lake)
    ]
    words = {word for one in asked for word in words_of(one.text)}
    return slice_questions(asked, passages_holding(lake, words), count_passages(lake))


def failure_rates(slices: Slices, outcomes: Sequence[tuple[str, bool, float]]) -> list[SliceRate]:
    """By kind and slice, from the question of each graded answer, whether it was right and how many
    it stands for; kinds that do not divide these questions are left out.

    >>> slices = {"length": {"q1": "short", "q2": "long", "q3": "long"}, "topic": {"q1": "a"}}
    >>> answers = [("q1", True, 1.0), ("q2", False, 1.0), ("q1", False, 1.0)]
    >>> [(one.name, one.failures.value) for one in failure_rates(slices, answers)]
    [('short', 0.5), ('long', 1.0)]
    """
    rates = []
    for kind, slice_of in slices.items():
        held: dict[str, list[tuple[bool, float]]] = {}
        for question_id, right, weight in outcomes:
            if question_id in slice_of:
                held.setdefault(slice_of[question_id], []).append((right, weight))
        if len(held) > 1:
            rates += [SliceRate(kind, name, _rate(held[name])) for name in in_order(kind, held)]
    return rates


def _rate(answers: Sequence[tuple[bool, float]]) -> Estimate:
    """How often they were wrong."""
    wrong = Weighed.counted([weight for right, weight in answers if not right])
    return weighted_rate(wrong, Weighed.counted([weight for _, weight in answers]))


def score_slices(
    requests: Sequence[Request],
    grades: Sequence[Grade],
    judgments: Mapping[str, Mapping[str, int]],
    owners: Sequence[str],
    slices: Slices,
) -> list[SliceScores]:
    """By kind and slice, of requests with their grades and ``owners`` in the same order, of whom
    those of one belong together; kinds that do not divide these questions are left out."""
    scores = [
        score_ranking(one.ranking, judgments.get(one.question_id or "", {})) for one in requests
    ]
    found = []
    for kind, slice_of in slices.items():
        held: dict[str, list[int]] = {}
        for at, request in enumerate(requests):
            if (name := slice_of.get(request.question_id or "")) is not None:
                held.setdefault(name, []).append(at)
        for name in in_order(kind, held) if len(held) > 1 else ():
            whose = [owners[at] for at in held[name]]
            ys = [math.nan if (y := grades[at].y) is None else float(y) for at in held[name]]
            ranked = {
                metric: clustered_score([scores[at][metric] for at in held[name]], whose)
                for metric in SLICE_METRICS
            }
            found.append(SliceScores(kind, name, {**ranked, "correct": clustered_rate(ys, whose)}))
    return found


def failing_slices(lake: Lake, filters: Filters, kind: SliceKind) -> list[Row]:
    """``name``, ``graded`` answers and ``failed`` ones (each a Weighed) of every slice of one kind;
    requests that name no question of the workspace are in none."""
    slice_of = load_slices(lake)[kind]
    sums: dict[str, tuple[Weighed, Weighed]] = {}
    for row in failing_questions(lake, filters):
        if (name := slice_of.get(row["question_id"])) is not None:
            graded, failed = sums.get(name, (Weighed.of(0), Weighed.of(0)))
            sums[name] = graded + row["graded"], failed + row["failed"]
    return [
        {"name": name, "graded": sums[name][0], "failed": sums[name][1]}
        for name in in_order(kind, sums)
    ]
