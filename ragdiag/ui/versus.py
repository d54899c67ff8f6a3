"""Two versions compared, in words and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import streamlit as st

from ragdiag.drift.tallies import square_and_add
from ragdiag.records import Estimate
from ragdiag.store.lake import Lake
from ragdiag.store.results import find_version
from ragdiag.ui import links, words
from ragdiag.workflows.comparing.compare import (
    Comparison,
    MetricComparison,
    QuestionPair,
    compare_versions,
)
from ragdiag.workflows.comparing.compare_words import family_words, mcnemar_words

ALPHA = 0.05
Mood = Literal["better", "worse", "mixed", "same"]

QUESTION_COLUMNS: Mapping[str, Any] = {
    "Question": st.column_config.TextColumn(width="large"),
    "A": st.column_config.NumberColumn(format="%.3f"),
    "B": st.column_config.NumberColumn(format="%.3f"),
    "B − A": st.column_config.NumberColumn(format="%+.3f"),
    "Story A": st.column_config.LinkColumn(display_text="open A"),
    "Story B": st.column_config.LinkColumn(display_text="open B"),
}


def compare(lake: Lake, a: str, b: str, split: str) -> Comparison:
    """As ``compare_versions``, by version ids, so that it can be cached by them."""
    return compare_versions(lake, find_version(lake, a), find_version(lake, b), split)


def sentence(compared: Comparison) -> tuple[str, Mood]:
    """What the reader may conclude, and whether B comes out better."""
    better = [name for name, found in compared.metrics.items() if _direction(found) > 0]
    worse = [name for name, found in compared.metrics.items() if _direction(found) < 0]
    a, b, n = compared.a.name, compared.b.name, len(compared.pairs)
    parts = []
    for verb, names in (("better", better), ("worse", worse)):
        if names:
            parts.append(f"{verb} than {a} on {', '.join(_told(compared, m) for m in names)}")
    told = words.count(n, "question") if n == compared.size else f"{n} of {compared.size} questions"
    asked = f"({told} of split {compared.split})"
    if not parts:
        nothing = f"No evidence that {b} differs from {a} on any measure, after Holm's correction"
        return f"{nothing} {asked}. {_hidden(compared)}".rstrip(), "same"
    mood: Mood = "mixed" if better and worse else "better" if better else "worse"
    return f"{b} is {', and '.join(parts)} {asked}.", mood


def answers(compared: Comparison) -> str:
    """What the user gets: the share of correct answers, whatever the ranking metrics say."""
    paired = compared.metrics["correct"].paired
    if math.isnan(paired.a):
        return "No answer of these questions is graded."
    return (
        f"Correct answers: {words.number(paired.a, 'share')} with A, "
        f"{words.number(paired.b, 'share')} with B, {words.change(paired.difference, 'share')}."
    )


def speed(a: Mapping[str, Estimate] | None, b: Mapping[str, Estimate] | None) -> str:
    """What it costs in time: p95 of the whole request, from each side's quantiles."""
    if not a or not b:
        return "One of the versions was not timed."
    return f"p95 latency: {words.change(square_and_add(a['p95'], b['p95']), 'ms')}."


def table(compared: Comparison) -> dict[str, list[str]]:
    """One row a metric: both means, the difference, its p values, what could have been seen; the
    secondary ones last and without any p."""
    found = [(name, metric.paired, metric.p_holm) for name, metric in compared.metrics.items()]
    found += [
        (name, replace(paired, p=math.nan, p_sign_flip=math.nan), math.nan)
        for name, paired in compared.secondary.items()
    ]
    unit = {name: "share" if name == "correct" else "score" for name, _, _ in found}
    return {
        "Measure": [name for name, _, _ in found],
        f"A: {compared.a.name}": [words.number(paired.a, unit[m]) for m, paired, _ in found],
        f"B: {compared.b.name}": [words.number(paired.b, unit[m]) for m, paired, _ in found],
        "B − A (95 % interval)": [words.change(p.difference, unit[m]) for m, p, _ in found],
        "n": [f"{paired.n:,}" for _, paired, _ in found],
        "p": [words.p_value(paired.p) for _, paired, _ in found],
        "p (Holm)": [words.p_value(p_holm) for _, _, p_holm in found],
        "p (sign flip)": [words.p_value(paired.p_sign_flip) for _, paired, _ in found],
        "Detectable": [
            words.detectable(paired.minimum_detectable, paired.difference.value, unit[m])
            for m, paired, _ in found
        ],
    }


def footnote(compared: Comparison) -> str:
    return (
        f"p: paired t test, two-sided, {words.count(compared.clusters, 'independent group')} of "
        "questions (by the document that answers them, where one is known). "
        f"{family_words(compared)} Sign flip is the check. Interval: BCa bootstrap, or Student's t "
        "where questions share a document. "
        "Detectable: the smallest true difference that this many questions show with 80 % power. "
        f"{_secondary_words(compared)} {mcnemar_words(compared)}"
    )


def _secondary_words(compared: Comparison) -> str:
    return (
        f"{', '.join(compared.secondary)}: shown beside them and not tested; passages that nobody "
        "judged count as irrelevant."
    )


def moved_questions(compared: Comparison, measure: str) -> list[QuestionPair]:
    """Questions on which the versions differ, the largest difference first."""
    moved = [pair for pair in compared.pairs if _delta(pair, measure) not in (0.0, None)]
    return sorted(moved, key=lambda pair: (-abs(_delta(pair, measure) or 0), pair.question_id))


def telling_measure(compared: Comparison) -> int:
    """The number of the first measure on which any question moved, else of the first."""
    moved = (n for n, name in enumerate(compared.metrics) if moved_questions(compared, name))
    return next(moved, 0)


def tally(compared: Comparison, measure: str) -> str:
    """How many questions each version wins, as Markdown."""
    deltas = [delta for pair in compared.pairs if (delta := _delta(pair, measure)) is not None]
    wins, losses = sum(delta > 0 for delta in deltas), sum(delta < 0 for delta in deltas)
    return (
        f"B wins **{wins:,}**, A wins **{losses:,}**, the same on "
        f"**{len(deltas) - wins - losses:,}** of {words.count(len(deltas), 'question')}."
    )


def question_table(pairs: Sequence[QuestionPair], measure: str) -> dict[str, list[Any]]:
    return {
        "Question": [pair.question for pair in pairs],
        "A": [pair.a[measure] for pair in pairs],
        "B": [pair.b[measure] for pair in pairs],
        "B − A": [_delta(pair, measure) for pair in pairs],
        "Story A": [links.request_url(pair.request_a) for pair in pairs],
        "Story B": [links.request_url(pair.request_b) for pair in pairs],
    }


def _delta(pair: QuestionPair, measure: str) -> float | None:
    delta = pair.b[measure] - pair.a[measure]
    return None if math.isnan(delta) else delta


def _direction(found: MetricComparison) -> int:
    """1 where B is better, −1 where worse: after Holm, and with 0 outside the interval if any."""
    moved = found.paired.difference
    if not found.p_holm < ALPHA or moved.low <= 0 <= moved.high:
        return 0
    return 1 if moved.value > 0 else -1


def _told(compared: Comparison, name: str) -> str:
    unit = "share" if name == "correct" else "score"
    paired = compared.metrics[name].paired
    return f"{name} ({words.signed(paired.difference.value, unit)})"


def _hidden(compared: Comparison) -> str:
    """What "no difference" could still hide, by the first measure on which any question moved."""
    paired = {name: found.paired for name, found in compared.metrics.items()}
    for name in ("correct", *paired):
        if (found := paired[name].minimum_detectable) > 0:
            size = words.size(found, "share" if name == "correct" else "score")
            return f"A true difference of {size} in {name} would probably have shown."
    if any(abs(one.difference.value) > 0 for one in paired.values()):
        return "They are too few independent questions to tell what has moved from chance."
    return "Every question came out the same."
