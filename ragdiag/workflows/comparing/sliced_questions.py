"""The questions of a workspace by kind, and how often each kind fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ragdiag.diagnosis.waterfall import best_judged
from ragdiag.metrics.question_slices import (
    AskedQuestion,
    SliceKind,
    Slices,
    in_order,
    slice_questions,
    words_of,
)
from ragdiag.records import Estimate, Weighed
from ragdiag.stats.intervals import wilson
from ragdiag.store.corpus import load_judgments, load_questions
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, Row
from ragdiag.store.trends import failing_questions
from ragdiag.store.word_counts import count_passages, passages_holding


@dataclass(frozen=True, slots=True)
class SliceRate:
    """How often the graded answers to one kind of question were wrong."""

    kind: SliceKind
    name: str
    failures: Estimate


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


def failure_rates(slices: Slices, outcomes: Mapping[str, bool]) -> list[SliceRate]:
    """By kind and slice, from question → whether its answer was right; kinds that do not divide
    these questions are left out.

    >>> slices = {"length": {"q1": "short", "q2": "long", "q3": "long"}, "topic": {"q1": "a"}}
    >>> [(one.name, one.failures.value) for one in failure_rates(slices, {"q1": True, "q2": False})]
    [('short', 0.0), ('long', 1.0)]
    """
    rates = []
    for kind, slice_of in slices.items():
        held: dict[str, list[bool]] = {}
        for question_id, right in outcomes.items():
            if question_id in slice_of:
                held.setdefault(slice_of[question_id], []).append(right)
        if len(held) > 1:
            rates += [
                SliceRate(kind, name, wilson(held[name].count(False), len(held[name])))
                for name in in_order(kind, held)
            ]
    return rates


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
